//! Selects the next task so that all sources receive the same service.
//!
//! The tasks are grouped by their source. The next task belongs to the source that has used the least service. This is
//! start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996):
//!
//! - Each source has a *start time*: the service that it has used. Each task adds its cost to the start time of its
//!   source.
//! - The next task belongs to the source with the lowest start time. This value is then the *virtual time*.
//! - The start time of a source without earlier tasks is the virtual time. So a source receives no credit for the time
//!   without tasks, and its first task waits for at most the task that runs.
//! - A source keeps its start time after its last task, until the virtual time is higher. Otherwise a source could
//!   return at once with a lower start time, and it would delay the others without end.
//! - When no source has a task, the virtual time increases to the highest start time. All sources are then equal again.

use crate::closable_queue::ClosableQueue;
use echo_service::Source;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Number of sources without tasks that the queue can store in addition to one for each task. This bounds the
/// memory. A lower number would remove such sources more often.
const MAX_IDLE_SOURCES: usize = 1024;

/// The tasks of all sources. `T` is a task.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    sources: Slab<SourceTasks<T>>,
    /// The index in `sources` for each source.
    indexes: HashMap<Source, usize>,
    /// One entry for each source in `sources`, except for the source of the task that runs.
    order: BinaryHeap<Reverse<Position>>,
    running: Option<usize>,
    /// The source of the last [`FairQueue::push`], and its index. Most tasks in sequence have the same source. This
    /// saves the hash.
    last: Option<(Source, usize)>,
    virtual_time: u64,
    /// The highest start time of all sources since the creation of the queue.
    max_start_time: u64,
    /// The sequence number of the next [`Position`].
    sequence: u64,
    /// Number of tasks in all queues.
    tasks: usize,
}

#[derive(Debug)]
struct SourceTasks<T> {
    source: Source,
    queue: ClosableQueue<T>,
    start_time: u64,
}

/// The position of a source in the order of service. If the start times are equal, the source that waits longer is
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    start_time: u64,
    sequence: u64,
    index: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            sources: Slab::new(),
            indexes: HashMap::new(),
            order: BinaryHeap::new(),
            running: None,
            last: None,
            virtual_time: 0,
            max_start_time: 0,
            sequence: 0,
            tasks: 0,
        }
    }
}

impl<T> FairQueue<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks == 0
    }

    /// Adds a task of `source`, behind the other tasks of this source.
    pub(crate) fn push(&mut self, source: Source, task: T) {
        self.tasks += 1;
        let index = match self.last {
            Some((last, index)) if last == source => Some(index),
            _ => self.indexes.get(&source).copied(),
        };
        let index = if let Some(index) = index {
            let tasks = &mut self.sources[index];
            if tasks.queue.is_empty() {
                tasks.start_time = tasks.start_time.max(self.virtual_time);
            }
            tasks.queue.push(task);
            index
        } else {
            self.add_source(source, task)
        };
        self.last = Some((source, index));
    }

    /// Removes the next task, and returns it with its source. The caller runs the task. Then it calls
    /// [`FairQueue::charge`].
    pub(crate) fn next(&mut self) -> Option<(Source, T)> {
        debug_assert!(self.running.is_none(), "the previous task was not charged");
        if self.is_empty() {
            self.virtual_time = self.max_start_time;
            return None;
        }
        while let Some(Reverse(position)) = self.order.pop() {
            let tasks = &mut self.sources[position.index];
            if tasks.queue.is_empty() {
                self.remove_source(position.index);
            } else if tasks.start_time > position.start_time {
                // The source returned after a time without tasks, and its start time increased.
                self.add_position(position.index);
            } else if let Some(task) = tasks.queue.pop() {
                self.tasks -= 1;
                self.virtual_time = self.virtual_time.max(position.start_time);
                self.running = Some(position.index);
                return Some((tasks.source, task));
            }
        }
        None
    }

    /// Adds the cost of the task that [`FairQueue::next`] has returned to the service of its source.
    pub(crate) fn charge(&mut self, cost: u64) {
        let Some(index) = self.running.take() else { return };
        let tasks = &mut self.sources[index];
        tasks.start_time = tasks.start_time.saturating_add(cost);
        self.max_start_time = self.max_start_time.max(tasks.start_time);
        if tasks.queue.is_empty() {
            tasks.queue.shrink();
        }
        self.add_position(index);
    }

    /// Counts the close of a connection of `source` that has a task in the queue. Calls `is_closed` at most once for
    /// each task of the source. Removes the task if `is_closed` returns true.
    pub(crate) fn note_close(&mut self, source: Source, is_closed: impl FnMut(&T) -> bool) {
        let Some(index) = self.indexes.get(&source) else { return };
        let queue = &mut self.sources[*index].queue;
        let before = queue.len();
        queue.note_close(is_closed);
        self.tasks -= before - queue.len();
    }

    /// Removes all tasks, and the service of all sources.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn add_source(&mut self, source: Source, task: T) -> usize {
        if self.sources.len() >= 2 * self.tasks + MAX_IDLE_SOURCES {
            self.forget_idle_sources();
        }
        let mut queue = ClosableQueue::default();
        queue.push(task);
        let start_time = self.virtual_time;
        let index = self.sources.insert(SourceTasks { source, queue, start_time });
        self.indexes.insert(source, index);
        self.add_position(index);
        index
    }

    fn remove_source(&mut self, index: usize) {
        let source = self.sources.remove(index).source;
        self.indexes.remove(&source);
        self.last = None;
    }

    fn add_position(&mut self, index: usize) {
        let start_time = self.sources[index].start_time;
        self.order.push(Reverse(Position { start_time, sequence: self.sequence, index }));
        self.sequence += 1;
    }

    /// Removes the sources without tasks, and raises the virtual time to their highest start time. So none of them can
    /// return with a lower start time. The sources with tasks are then before all new sources.
    fn forget_idle_sources(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        order.retain(|Reverse(position)| {
            let tasks = &self.sources[position.index];
            let has_tasks = !tasks.queue.is_empty();
            if !has_tasks {
                self.virtual_time = self.virtual_time.max(tasks.start_time);
                self.remove_source(position.index);
            }
            has_tasks
        });
        self.order = order;
    }
}

#[cfg(test)]
mod tests;
