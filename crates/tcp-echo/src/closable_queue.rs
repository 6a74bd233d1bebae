//! A queue of connections. A closed connection leaves the queue in constant time, on average.

use std::collections::VecDeque;

/// Number of entries for which an empty queue keeps its memory. It saves most allocations, and is still small if many
/// queues are empty.
const MAX_UNUSED_CAPACITY: usize = 32;

/// A first-in, first-out queue. The entry of a closed connection stays in the queue for a while. When more connections
/// were closed than half of the entries, one pass removes all of these entries. So at most one entry more than half of
/// the entries belongs to closed connections. The pass costs a constant time for each closed connection, on average.
#[derive(Debug)]
pub(crate) struct ClosableQueue<T> {
    entries: VecDeque<T>,
    /// Number of connections that were closed since the last pass. [`ClosableQueue::pop`] can already have returned
    /// some of their entries.
    closed: usize,
}

impl<T> Default for ClosableQueue<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), closed: 0 }
    }
}

impl<T> ClosableQueue<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of entries, with those of closed connections.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn push(&mut self, entry: T) {
        self.entries.push_back(entry);
    }

    /// Removes the oldest entry. It can belong to a closed connection.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.entries.pop_front()
    }

    /// Releases most of the memory of an empty queue.
    pub(crate) fn shrink(&mut self) {
        if self.entries.capacity() > MAX_UNUSED_CAPACITY {
            self.entries.shrink_to(MAX_UNUSED_CAPACITY);
        }
    }

    /// Counts the close of a connection that has an entry in this queue. The function calls `is_closed` at most once
    /// for each entry. It removes the entry if `is_closed` returns true.
    pub(crate) fn note_close(&mut self, mut is_closed: impl FnMut(&T) -> bool) {
        self.closed += 1;
        if self.closed > self.entries.len() / 2 {
            self.entries.retain(|entry| !is_closed(entry));
            self.closed = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn closed_entries_leave_the_queue_in_constant_time_on_average() {
        let mut queue = ClosableQueue::default();
        let mut closed = HashSet::new();
        let mut checks = 0_usize;
        let count = 10_000_usize;
        for number in 0..count {
            queue.push(number);
        }
        // Closes the entries in another order than that of the queue.
        for step in 0..count {
            let number = step * 7919 % count;
            closed.insert(number);
            queue.note_close(|entry| {
                checks += 1;
                closed.contains(entry)
            });
            let open = count - closed.len();
            assert!(queue.len() <= 2 * open + 1, "{} entries for {open} connections", queue.len());
        }
        assert!(queue.is_empty());
        assert!(checks <= 4 * count, "{checks}");
    }

    #[test]
    fn open_entries_keep_their_order() {
        let mut queue = ClosableQueue::default();
        (0..10).for_each(|number| queue.push(number));
        for limit in [1, 3, 5, 7, 9] {
            queue.note_close(|number| number % 2 == 1 && *number <= limit);
        }
        queue.note_close(|number| number % 2 == 1);
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, [0, 2, 4, 6, 8]);
    }
}
