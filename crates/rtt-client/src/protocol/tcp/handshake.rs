//! Repeated connection requests: their times, and the time that they cost.

use crate::model::exchange::Retransmitted;
use crate::model::traffic::KernelStatistics;
use std::time::Duration;

/// The retransmissions of a handshake that took `handshake`.
///
/// The kernel's RTT is the round trip of the SYN that was answered. After a retransmission, the kernel measures it with
/// the timestamps option (RFC 7323): the answer contains the time of its SYN, in whole milliseconds. Without this option,
/// the answer can belong to any SYN, so the kernel measures nothing, and its RTT is 0 (the function
/// `tcp_ack_update_rtt` in `net/ipv4/tcp_input.c`).
pub(super) fn retransmitted(
    statistics: &KernelStatistics,
    handshake: Duration,
) -> Option<Retransmitted> {
    let segments = u32::try_from(statistics.retransmissions?).unwrap_or(u32::MAX);
    let rtt = statistics.rtt.filter(|rtt| segments > 0 && *rtt > Duration::ZERO);
    Some(Retransmitted { segments, cost: rtt.map(|rtt| handshake.saturating_sub(rtt)) })
}

/// Lists the times of the connection requests, if there was more than one.
pub(super) fn describe_requests(requests: &[Duration]) -> Option<String> {
    let (last, others) = requests.split_last().filter(|(_, others)| !others.is_empty())?;
    let times: Vec<String> = others.iter().map(|at| format!("{:.1}", at.as_secs_f64())).collect();
    let (count, last) = (requests.len(), last.as_secs_f64());
    Some(format!("{count} connection requests (SYN), at {} and {last:.1} s", times.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retransmissions_have_a_cost_if_the_kernel_has_measured_the_round_trip() {
        let milliseconds = Duration::from_millis;
        let cost = |number, rtt| {
            let statistics = KernelStatistics {
                retransmissions: Some(number),
                rtt: Some(milliseconds(rtt)),
                ..KernelStatistics::default()
            };
            let Retransmitted { segments, cost } =
                retransmitted(&statistics, milliseconds(3040)).unwrap();
            assert_eq!(u64::from(segments), number);
            cost
        };
        assert_eq!(cost(2, 31), Some(milliseconds(3009)));
        assert_eq!(cost(2, 0), None, "the kernel has not measured the round trip");
        assert_eq!(cost(0, 31), None, "no retransmission");
        // The first SYN was answered after its retransmission.
        assert_eq!(cost(1, 3041), Some(Duration::ZERO));
        assert_eq!(retransmitted(&KernelStatistics::default(), milliseconds(1)), None);
    }

    #[test]
    fn connection_requests_are_described_if_they_were_repeated() {
        let times = [0, 1040, 3100].map(Duration::from_millis);
        assert_eq!(describe_requests(&times[..1]), None);
        let described = describe_requests(&times).unwrap();
        assert_eq!(described, "3 connection requests (SYN), at 0.0, 1.0 and 3.1 s");
    }
}
