//! The time that a server program adds to the time of its host's kernel.
//!
//! If the kernel of a host replies to one side and a server program of the same host replies to the other side, both
//! sides have the same path. The difference between them is the time of the program.

use super::{Cause, CauseKind, network_and_server, not_measured};
use crate::analysis::comparison::PairedDifference;
use crate::analysis::evidence::{Evidence, Side};
use crate::model::format::{count, duration, signed_nanoseconds};
use std::time::Duration;

/// The cause, if the kernel of a host replies to exactly one of the sides.
pub(super) fn cause(
    evidence: &Evidence,
    difference: PairedDifference,
    [a, b]: [&str; 2],
) -> Option<Cause> {
    const KIND: CauseKind = CauseKind::ServerProgram;
    let [of_a, of_b] = &evidence.sides;
    let (kernel, kernel_name, program, program_name, sign) =
        match (of_a.protocol.program_replies(), of_b.protocol.program_replies()) {
            (false, true) => (of_a, a, of_b, b, 1),
            (true, false) => (of_b, b, of_a, a, -1),
            _ => return None,
        };
    let [Some(host), Some(host_of_program)] = [kernel, program].map(Side::ip) else {
        return Some(not_measured(KIND, "a side has no address"));
    };
    if host != host_of_program {
        return Some(not_measured(KIND, "the two sides have different addresses"));
    }
    if difference.interval.is_none() {
        return Some(not_measured(
            KIND,
            "there are too few pairs or too many disturbances for a verdict",
        ));
    }
    if difference.higher().is_none() {
        return Some(not_measured(KIND, "the RTTs have no measurable difference"));
    }
    let Some(times) = Times::of(kernel, program) else {
        return Some(not_measured(KIND, "a side has no reply"));
    };
    let added = signed_nanoseconds(times.program) - signed_nanoseconds(times.kernel);
    let who = format!(
        "the kernel of {host} replies to {kernel_name}, and a server program replies to {program_name}"
    );
    let measured = match times.source {
        // The report contains these times as a part of the RTT.
        TimeSource::Packets => {
            format!("The value is the difference of the part `network and server`. Here, {who}.")
        }
        TimeSource::Rtt => format!(
            "RTT: {program_name} {}, {kernel_name} {} (medians of {} exchanges). Here, {who}.",
            duration(times.program),
            duration(times.kernel),
            count(times.exchanges),
        ),
    };
    let conclusion = if added < 0 {
        format!(
            "The kernel's reply took longer. Hosts and routers can process {kernel_name} with a lower priority."
        )
    } else {
        "The program adds the time to wake its process, and the time of its work.".to_owned()
    };
    Some(Cause {
        kind: KIND,
        share: Some(sign * added),
        evidence: format!("{measured} {conclusion}"),
    })
}

/// The times that the cause compares.
struct Times {
    kernel: Duration,
    program: Duration,
    exchanges: u64,
    source: TimeSource,
}

/// The source of the times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeSource {
    /// The times between the request packet and the reply packet. They do not contain the time in this host.
    Packets,
    /// The RTTs.
    Rtt,
}

impl Times {
    /// With kernel timestamps, the times between the packets. Otherwise, the RTTs.
    fn of(kernel: &Side, program: &Side) -> Option<Self> {
        if let (Some(of_kernel), Some(of_program)) =
            (&kernel.with_timestamps, &program.with_timestamps)
            && let (Some(in_kernel), Some(in_program)) =
                (network_and_server(of_kernel), network_and_server(of_program))
        {
            let exchanges = of_kernel.breakdown.send.count().min(of_program.breakdown.send.count());
            let source = TimeSource::Packets;
            return Some(Self { kernel: in_kernel, program: in_program, exchanges, source });
        }
        Some(Self {
            kernel: kernel.summary.rtt.median()?,
            program: program.summary.rtt.median()?,
            exchanges: kernel.summary.rtt.count().min(program.summary.rtt.count()),
            source: TimeSource::Rtt,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::protocol::{Protocol, Responder};
    use crate::protocol::registry::protocol_named;

    /// A protocol to which the kernel replies.
    static PING: Protocol = Protocol {
        name: "ping",
        title: "Ping",
        default_port: None,
        responder: Responder::Kernel,
        ..crate::protocol::registry::PROTOCOLS[0]
    };

    fn side(protocol: &'static Protocol, address: &str, microseconds: u64) -> Side {
        let mut side = Side::new(protocol, protocol.name);
        side.address = Some(address.parse().unwrap());
        (0..100).for_each(|_| side.summary.rtt.add(Duration::from_micros(microseconds)));
        side
    }

    fn cause_of(a: Side, b: Side, difference: i64) -> Option<Cause> {
        let difference = PairedDifference::of(&[difference; 100], 0.95).unwrap();
        cause(&Evidence::new([a, b]), difference, ["A", "B"])
    }

    #[test]
    fn share_of_the_program_has_the_sign_of_b_minus_a() {
        let udp = protocol_named("udp").unwrap();
        let kernel = || side(&PING, "192.0.2.7:0", 100);
        let program = || side(udp, "192.0.2.7:25000", 600);
        let found = cause_of(kernel(), program(), 500_000).unwrap();
        assert_eq!(found.share, Some(500_000));
        assert!(
            found.evidence.contains("The program adds the time to wake its process"),
            "{}",
            found.evidence
        );
        let found = cause_of(program(), kernel(), -500_000).unwrap();
        assert_eq!(found.share, Some(-500_000));
        assert!(
            found.evidence.contains("The program adds the time to wake its process"),
            "{}",
            found.evidence
        );
    }

    #[test]
    fn slower_kernel_is_not_explained_by_the_work_of_the_program() {
        let udp = protocol_named("udp").unwrap();
        let kernel = || side(&PING, "192.0.2.7:0", 600);
        let found = cause_of(kernel(), side(udp, "192.0.2.7:7", 100), -500_000).unwrap();
        assert_eq!(found.share, Some(-500_000));
        let expected = "The kernel's reply took longer. Hosts and routers can process A with a lower \
                        priority.";
        assert!(found.evidence.ends_with(expected), "{}", found.evidence);
        assert!(!found.evidence.contains("time of its work"), "{}", found.evidence);
    }

    #[test]
    fn times_between_the_packets_are_used_if_both_sides_have_them() {
        let udp = protocol_named("udp").unwrap();
        let with_timestamps = |protocol, microseconds: u64| {
            let mut side = side(protocol, "192.0.2.7:7", 900);
            let mut summary = crate::analysis::statistics::Summary::default();
            summary.breakdown.send.add(Duration::from_micros(1));
            summary.breakdown.network_and_server.add(Duration::from_micros(microseconds));
            side.with_timestamps = Some(summary);
            side
        };
        let found =
            cause_of(with_timestamps(&PING, 30), with_timestamps(udp, 70), 500_000).unwrap();
        assert_eq!(found.share, Some(40_000));
        assert!(
            found
                .evidence
                .starts_with("The value is the difference of the part `network and server`.")
        );
        assert!(!found.evidence.contains("µs"), "{}", found.evidence);
    }

    #[test]
    fn other_hosts_and_unmeasurable_differences_have_no_share() {
        let udp = protocol_named("udp").unwrap();
        let kernel = || side(&PING, "192.0.2.7:0", 100);
        let other_host = cause_of(kernel(), side(udp, "192.0.2.8:7", 600), 500_000).unwrap();
        assert_eq!(other_host.share, None);
        assert!(other_host.evidence.contains("different addresses"), "{}", other_host.evidence);
        let equal = cause_of(kernel(), side(udp, "192.0.2.7:7", 100), 0).unwrap();
        assert_eq!(equal.share, None);
        assert!(equal.evidence.contains("no measurable difference"), "{}", equal.evidence);
        let mapped = cause_of(kernel(), side(udp, "[::ffff:192.0.2.7]:7", 600), 500_000).unwrap();
        assert_eq!(mapped.share, Some(500_000));
        let few = PairedDifference::of(&[500_000; 2], 0.95).unwrap();
        let sides = Evidence::new([kernel(), side(udp, "192.0.2.7:7", 600)]);
        let few = cause(&sides, few, ["A", "B"]).unwrap();
        assert_eq!(few.share, None);
        assert!(few.evidence.contains("too few pairs or too many"), "{}", few.evidence);
        let two_programs = (side(udp, "192.0.2.7:7", 1), side(udp, "192.0.2.7:8", 2));
        assert!(cause_of(two_programs.0, two_programs.1, 1000).is_none());
    }
}
