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

use crate::closable_queue::ClosableQueue;
use echo_service::Source;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Number of sources without tasks that the queue can remember in addition to one for each task. This bounds the
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
    virtual_time: u64,
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
            virtual_time: 0,
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
        if let Some(index) = self.indexes.get(&source) {
            self.sources[*index].queue.push(task);
            return;
        }
        if self.sources.len() >= 2 * self.tasks + MAX_IDLE_SOURCES {
            self.forget_idle_sources();
        }
        let mut queue = ClosableQueue::default();
        queue.push(task);
        let start_time = self.virtual_time;
        let index = self.sources.insert(SourceTasks { source, queue, start_time });
        self.indexes.insert(source, index);
        self.add_position(index);
    }

    /// Removes the next task, and returns it with its source. The caller runs the task. Then it calls
    /// [`FairQueue::charge`].
    pub(crate) fn next(&mut self) -> Option<(Source, T)> {
        debug_assert!(self.running.is_none(), "the previous task was not charged");
        if self.is_empty() {
            // No source waits, so no source needs an order.
            self.clear();
            return None;
        }
        while let Some(Reverse(position)) = self.order.pop() {
            let tasks = &mut self.sources[position.index];
            if let Some(task) = tasks.queue.pop() {
                let source = tasks.source;
                self.tasks -= 1;
                self.virtual_time = self.virtual_time.max(position.start_time);
                self.running = Some(position.index);
                return Some((source, task));
            }
            self.indexes.remove(&tasks.source);
            self.sources.remove(position.index);
        }
        None
    }

    /// Adds the cost of the task that [`FairQueue::next`] has returned to the service of its source.
    pub(crate) fn charge(&mut self, cost: u64) {
        let Some(index) = self.running.take() else { return };
        let tasks = &mut self.sources[index];
        tasks.start_time = tasks.start_time.saturating_add(cost);
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
        self.sources.clear();
        self.indexes.clear();
        self.order.clear();
        self.running = None;
        self.virtual_time = 0;
        self.tasks = 0;
    }

    fn add_position(&mut self, index: usize) {
        let start_time = self.sources[index].start_time;
        self.order.push(Reverse(Position { start_time, sequence: self.sequence, index }));
        self.sequence += 1;
    }

    /// Removes the sources without tasks, and raises the virtual time to their highest start time. So none of them can
    /// return with a lower start time. The sources with tasks are then before all new sources.
    fn forget_idle_sources(&mut self) {
        let running = self.running;
        let sources = &mut self.sources;
        let indexes = &mut self.indexes;
        let mut virtual_time = self.virtual_time;
        self.order.retain(|Reverse(position)| {
            let tasks = &sources[position.index];
            let is_idle = tasks.queue.is_empty() && running != Some(position.index);
            if is_idle {
                virtual_time = virtual_time.max(tasks.start_time);
                indexes.remove(&tasks.source);
                sources.remove(position.index);
            }
            !is_idle
        });
        self.virtual_time = virtual_time;
    }
}

#[cfg(test)]
mod tests;
