//! Runs a plan: opens sockets, determines when to send, and processes what arrives.
//!
//! [`run`] measures one target, [`compare`] compares two, [`diagnose`] examines an absent server, and
//! [`trace`] captures packets. All of them except [`diagnose`] use a [`series`], the exchanges with one address.

mod address_race;
mod channel;
mod comparison;
mod diagnosis;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod output_file;
mod protocols;
mod run;
mod select_address;
mod series;
#[cfg(any(test, fuzzing))]
mod test_transport;
mod trace;
mod trial;

pub use comparison::compare;
pub use diagnosis::diagnose;
#[cfg(fuzzing)]
pub use fuzzing::{AnyMessage, receive_any_messages, receive_any_service_messages};
pub use output_file::{FileOperation, OutputFile, OutputFileError, remove_unfinished_files};
pub use protocols::list_protocols;
pub use run::{RunError, run};
#[cfg(fuzzing)]
pub use trace::explain_as_measurement;
pub use trace::{TraceError, end_with_this_thread, enter_lab, read_trace, trace};

use crate::net::system::MAX_PAUSE;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The minimum time between two progress events.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Sleeps until `end`, or until `stop` is set. Each system call sleeps for at most [`MAX_PAUSE`], because the flag does
/// not interrupt a system call.
fn pause_until(end: Instant, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(MAX_PAUSE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_ends_after_its_duration_or_with_the_stop_flag() {
        let stop = AtomicBool::new(false);
        let start = Instant::now();
        pause_until(start + MAX_PAUSE * 3 / 2, &stop);
        assert!(start.elapsed() >= MAX_PAUSE * 3 / 2);
        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                stop.store(true, Ordering::Relaxed);
            });
            pause_until(start + Duration::from_hours(1), &stop);
        });
        assert!(start.elapsed() < Duration::from_mins(1));
    }
}
