//! [`SlowHost`]: the part of this host that could not keep up with the schedule of a fixed request rate.

use std::time::Duration;

/// A run has kept its schedule if its request rate is at least this share of the requested rate.
const KEPT_SHARE: f64 = 0.99;

/// A run has also kept its schedule if its last request was late by less than this, and by at most [`MAX_LATE_INTERVALS`]. A
/// busy host can delay a single request.
const MAX_DELAY: Duration = Duration::from_millis(20);

/// See [`MAX_DELAY`]. At a high rate, a delay of 20 ms is the time for thousands of requests.
const MAX_LATE_INTERVALS: f64 = 3.0;

/// The client used its CPU fully if it ran for at least this share of the time.
const BUSY_SHARE: f64 = 0.85;

/// The time that a thread spent on a CPU and in the queue for a CPU, during the requests of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTimes {
    pub(crate) on_cpu: Duration,
    /// The thread was ready to run, and other threads used the CPU.
    pub(crate) waiting: Duration,
}

/// The part of this host that could not keep up with the schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SlowHost {
    /// The program of the client used its CPU for the whole time.
    Program {
        /// The share of the time on a CPU, from 0 to 1.
        share: f64,
        /// The CPU time for one request and its reply.
        cpu_per_exchange: Duration,
    },
    /// The client waited for a CPU, because other programs used it.
    CpuShared {
        /// The share of the time in the queue for a CPU, from 0 to 1.
        share: f64,
    },
    /// The client waited in system calls, for example for a full send queue.
    SystemCalls {
        /// The share of the time in which the client neither ran nor waited for a CPU, from 0 to 1.
        share: f64,
    },
    /// The system does not report how the time was spent.
    Unknown,
}

/// Finds the part of this host that could not keep up. `None` if the run has kept its schedule, or if it has too few
/// requests. `sent` requests were sent in `duration`, and `rate` requests per second were requested.
pub(crate) fn slow_host(
    sent: u64,
    duration: Duration,
    rate: f64,
    times: Option<CpuTimes>,
) -> Option<SlowHost> {
    #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
    let intervals = sent.saturating_sub(1) as f64;
    let planned = intervals / rate;
    let delay = duration.as_secs_f64() - planned;
    let max_delay = MAX_DELAY.as_secs_f64().min(MAX_LATE_INTERVALS / rate);
    if planned >= duration.as_secs_f64() * KEPT_SHARE || delay < max_delay {
        return None;
    }
    let Some(CpuTimes { on_cpu, waiting }) = times else { return Some(SlowHost::Unknown) };
    let share = |part: Duration| (part.as_secs_f64() / duration.as_secs_f64()).min(1.0);
    let (busy, queued) = (share(on_cpu), share(waiting));
    let blocked = (1.0 - busy - queued).max(0.0);
    Some(if busy >= BUSY_SHARE {
        let cpu_per_exchange = on_cpu.div_f64(intervals + 1.0);
        SlowHost::Program { share: busy, cpu_per_exchange }
    } else if queued >= blocked {
        SlowHost::CpuShared { share: queued }
    } else {
        SlowHost::SystemCalls { share: blocked }
    })
}

impl SlowHost {
    /// One or two sentences for the user.
    #[must_use]
    pub fn explanation(&self) -> String {
        match *self {
            Self::Program { share, cpu_per_exchange } => format!(
                "This host could not keep the schedule: the client used its CPU for {:.0} % of the time. One exchange takes \
                 {:.1} µs of CPU time.",
                share * 100.0,
                cpu_per_exchange.as_secs_f64() * 1e6
            ),
            Self::CpuShared { share } => format!(
                "This host could not keep the schedule: for {:.0} % of the time, the client waited for a CPU that other \
                 programs used.",
                share * 100.0
            ),
            Self::SystemCalls { share } => format!(
                "This host could not keep the schedule: for {:.0} % of the time, the client waited in system calls, for \
                 example because the send queue was full.",
                share * 100.0
            ),
            Self::Unknown => "This host could not keep the schedule. This system does not report which part of the host \
                              was too slow."
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_share_of_the_time_names_the_slow_part() {
        let second = Duration::from_secs(1);
        let times = |on_cpu, waiting| {
            let [on_cpu, waiting] = [on_cpu, waiting].map(Duration::from_millis);
            Some(CpuTimes { on_cpu, waiting })
        };
        let slow = |times| slow_host(50_001, second, 100_000.0, times);
        let busy = slow(times(950, 10));
        assert!(
            matches!(busy, Some(SlowHost::Program { cpu_per_exchange, .. })
                if cpu_per_exchange.as_micros() == 19),
            "{busy:?}"
        );
        assert_eq!(slow(times(500, 450)), Some(SlowHost::CpuShared { share: 0.45 }));
        let blocked = slow(times(200, 100));
        assert!(matches!(blocked, Some(SlowHost::SystemCalls { .. })), "{blocked:?}");
        assert_eq!(slow(None), Some(SlowHost::Unknown));
        assert!(busy.unwrap().explanation().contains("95 %"));
    }

    #[test]
    fn run_that_keeps_its_schedule_is_not_slow() {
        let second = Duration::from_secs(1);
        assert_eq!(slow_host(99_500, second, 100_000.0, None), None);
        assert_eq!(slow_host(1, Duration::ZERO, 100_000.0, None), None);
        assert_eq!(slow_host(0, Duration::ZERO, 100_000.0, None), None);
        // Two requests at 100 per second. The second one was late by 5 ms.
        assert_eq!(slow_host(2, Duration::from_millis(15), 100.0, None), None);
        assert!(slow_host(2, Duration::from_millis(35), 100.0, None).is_some());
    }

    #[test]
    fn short_run_at_a_high_rate_is_slow_if_its_rate_is_much_too_low() {
        // 1,000 requests at 34 % of the rate. The last one was late by 19 ms, or 1,900 intervals.
        assert!(slow_host(1000, Duration::from_millis(29), 100_000.0, None).is_some());
        // The last of ten requests was late by two intervals.
        assert_eq!(slow_host(10, Duration::from_micros(110), 100_000.0, None), None);
    }
}
