//! The explanations of handshakes as exchanges.

use super::causes::RETRANSMISSION;
use super::failures;
use crate::analysis::comparison::{Cause, CauseKind, ProtocolCause};
use crate::analysis::diagnosis::{Explanation, Finding};
use crate::analysis::explain::{CauseContext, Explain};
use crate::analysis::statistics::HandshakeRetransmissions;
use crate::model::condition::Condition;
use crate::model::format::{count, counted, duration};

static KERNEL: ProtocolCause = ProtocolCause {
    name: "server-kernel",
    label: "kernel of the server's host",
    no_effect: "no effect",
};

/// The explanations of handshakes.
pub(super) struct Explanations;

impl Explain for Explanations {
    fn finding(&self, finding: &Finding) -> Option<Explanation> {
        match finding.condition() {
            Condition::Answering => Some(Explanation {
                meaning: format!(
                    "a server accepts connections: the kernel of its host completed the handshake in {}",
                    duration(finding.after())
                ),
                not_certain: "whether the server program works: the kernel replies before the program accepts the \
                              connection",
                next_step: format!(
                    "measure it: `rtt-client {} {} --connect-only -c 100 -i 0`",
                    finding.protocol.name, finding.target
                ),
            }),
            Condition::Silent => Some(Explanation {
                not_certain: "the reason: the client cannot distinguish a missing host, a firewall that drops packets \
                              (possibly on this host), a broken return path, and a server whose queue of new \
                              connections is full",
                ..failures::explain(finding)?
            }),
            _ => failures::explain(finding),
        }
    }

    fn packet_of_peer(&self, _: Condition) -> Option<&'static str> {
        Some("a TCP reset")
    }

    fn causes(&self, context: &CauseContext<'_>) -> Vec<Cause> {
        let kernel = Cause {
            kind: CauseKind::Protocol(&KERNEL),
            share: None,
            evidence: format!(
                "{}: the kernel of the server's host replies, and both kernels create the state of a connection. The \
                 server program does not take part.",
                context.name
            ),
        };
        [Some(kernel), retransmissions(context)].into_iter().flatten().collect()
    }
}

/// The segments that were sent again. `None` if there are none.
fn retransmissions(context: &CauseContext<'_>) -> Option<Cause> {
    let summary = &context.side.summary;
    let HandshakeRetransmissions { connections: affected @ 1.., segments, .. } =
        summary.handshake_retransmissions
    else {
        return None;
    };
    let evidence = format!(
        "{}: in {} of {}, this host sent {} again. The longest RTT is {}.",
        context.name,
        count(affected),
        counted(summary.rtt.count(), "handshake", "handshakes"),
        counted(segments, "segment", "segments"),
        duration(summary.rtt.max()?)
    );
    Some(Cause { kind: CauseKind::Protocol(&RETRANSMISSION), share: None, evidence })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::diagnosis::ProbeResult;
    use crate::analysis::evidence::{Evidence, Side};
    use crate::model::condition::Failure;
    use crate::model::exchange::Retransmitted;
    use crate::protocol_named;
    use std::time::Duration;

    fn finding(condition: Condition) -> Explanation {
        let protocol = protocol_named("tcp").unwrap().handshake.unwrap();
        let result = ProbeResult::NoAnswer(Failure::new(condition, Duration::from_millis(3)));
        let finding = Finding {
            address: Some("192.0.2.1:443".parse().unwrap()),
            ..Finding::new(protocol, "h:443", result)
        };
        finding.explain()
    }

    #[test]
    fn findings_describe_a_server_that_accepts_connections() {
        let answering = finding(Condition::Answering);
        assert!(answering.meaning.contains("accepts connections"), "{answering:?}");
        assert!(answering.meaning.ends_with("in 3.000 ms"), "{answering:?}");
        assert!(answering.next_step.contains("tcp h:443 --connect-only"), "{answering:?}");
        let refused = finding(Condition::Refused);
        assert!(refused.meaning.contains("no process listens on the port"), "{refused:?}");
        assert_eq!(refused.next_step, "start a server on that host");
        let silent = finding(Condition::Silent);
        assert!(silent.meaning.contains("(SYN)"), "{silent:?}");
        assert!(silent.not_certain.contains("queue of new connections is full"), "{silent:?}");
    }

    #[test]
    fn retransmissions_are_a_cause_only_if_there_were_some() {
        let [icmp, tcp] = ["icmp", "tcp"].map(|name| protocol_named(name).unwrap());
        let sides = [Side::new(icmp, "h"), Side::new(tcp.handshake.unwrap(), "h:443")];
        let mut evidence = Evidence::new(sides);
        let causes = |evidence: &Evidence| {
            let [_, side] = &evidence.sides;
            let causes =
                Explanations.causes(&CauseContext { evidence, side, name: "TCP handshake" });
            causes.into_iter().map(|cause| cause.evidence).collect::<Vec<_>>()
        };
        assert_eq!(causes(&evidence).len(), 1);
        let summary = &mut evidence.sides[1].summary;
        summary.rtt.add(Duration::from_secs(1));
        summary.handshake_retransmissions.add(Some(Retransmitted { segments: 1, cost: None }));
        let causes = causes(&evidence);
        assert_eq!(
            causes[1],
            "TCP handshake: in 1 of 1 handshake, this host sent 1 segment again. The longest RTT is 1.000 s."
        );
    }
}
