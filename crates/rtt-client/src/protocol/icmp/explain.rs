//! The explanations of ICMP echo: failures, a popular claim, and missing replies.

use super::facts::FACTS;
use crate::analysis::comparison::{Claim, Relation, undecided};
use crate::analysis::diagnosis::{Explanation, Finding};
use crate::analysis::explain::{ClaimContext, Explain};
use crate::analysis::loss_pattern::LossPattern;
use crate::model::condition::Condition;
use crate::model::format::{counted, duration};

/// The explanations of ICMP echo.
pub(crate) struct Explanations;

impl Explain for Explanations {
    fn finding(&self, finding: &Finding) -> Option<Explanation> {
        let generic = || finding.explain_generically();
        match finding.condition() {
            Condition::Answering => Some(Explanation {
                meaning: "the host is up: its kernel replies to echo requests".to_owned(),
                not_certain: "whether a service runs on the host: the kernel replies without one",
                ..generic()
            }),
            Condition::Silent => Some(Explanation {
                meaning: format!(
                    "the client sent {}, but received no reply",
                    counted(finding.sent.into(), "echo request", "echo requests")
                ),
                not_certain: "whether the host is up: many hosts and firewalls drop echo requests",
                next_step: "try a service of the host: it can answer although the host does not answer echo requests"
                    .to_owned(),
            }),
            _ => None,
        }
    }

    fn claims(&self, context: &ClaimContext<'_>) -> Vec<Claim> {
        ping_is_the_rtt_of_an_application(context).into_iter().collect()
    }

    fn packets_not_counted(&self) -> &'static str {
        "a request is longer than a packet, and this system does not count fragments"
    }

    fn missing_replies(&self, LossPattern { period }: LossPattern) -> String {
        format!(
            "The missing replies form a regular pattern: a gap starts about every {period} requests. A possible reason \
             is a router or a host that limits its rate of {} messages. To test this, send fewer requests per second.",
            FACTS.title
        )
    }
}

/// The claim is about a server program. `None` if the other side has none.
fn ping_is_the_rtt_of_an_application(context: &ClaimContext<'_>) -> Option<Claim> {
    let claim = "the time that `ping` shows is the RTT of an application on the host";
    let ClaimContext { side, other, .. } = context;
    if !other.protocol.program_replies() {
        return None;
    }
    if side.ip() != other.ip() {
        return Some(undecided(claim, "Not measured: the two sides have different addresses."));
    }
    let (Some(ping), Some(application)) = (side.summary.rtt.median(), other.summary.rtt.median())
    else {
        return Some(undecided(claim, "Not measured: a side has no reply."));
    };
    let (icmp, title) = (FACTS.title, other.protocol.title);
    let reason = match context.relation() {
        Relation::Unknown => {
            return Some(undecided(
                claim,
                "Not measured: there are too few pairs or too many disturbances for a verdict.",
            ));
        }
        // A larger difference than in this run is possible with another program or another path.
        Relation::NoMeasurableDifference => {
            let evidence = format!(
                "In this run, {icmp} and {title} have no measurable difference. This does not confirm the claim."
            );
            return Some(undecided(claim, &evidence));
        }
        Relation::Lower => format!(
            "The kernel of the host replies to {icmp}. For {title}, the kernel must also wake the server program."
        ),
        Relation::Higher => format!(
            "The kernel's reply took longer. Hosts and routers can process {icmp} with a lower priority."
        ),
    };
    let (ping, application) = (duration(ping), duration(application));
    let evidence = format!("{icmp}: {ping}, {title}: {application} (medians). {reason}");
    Some(Claim { claim, holds: Some(false), evidence })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::comparison::PairedDifference;
    use crate::analysis::diagnosis::EchoServer;
    use crate::analysis::diagnosis::ProbeResult;
    use crate::analysis::evidence::Side;
    use crate::model::condition::Failure;
    use crate::protocol_named;
    use std::time::Duration;

    fn finding(result: ProbeResult) -> Finding {
        Finding { sent: 3, ..Finding::new(&FACTS, "host", result) }
    }

    #[test]
    fn reply_shows_that_the_host_is_up_but_silence_does_not_show_that_it_is_down() {
        let rtt = Duration::from_millis(1);
        let answering = finding(ProbeResult::Echo { rtt, server: EchoServer::Plain }).explain();
        assert!(answering.meaning.contains("the host is up"), "{answering:?}");
        assert!(answering.not_certain.contains("whether a service runs"), "{answering:?}");
        assert!(answering.next_step.contains("rtt-client icmp host -c 100"), "{answering:?}");
        let silent = Failure::new(Condition::Silent, rtt);
        let silent = finding(ProbeResult::NoAnswer(silent)).explain();
        assert!(silent.meaning.contains("sent 3 echo requests"), "{silent:?}");
        assert!(silent.not_certain.contains("whether the host is up"), "{silent:?}");
    }

    fn side(protocol: &str, address: &str, microseconds: u64) -> Side {
        let mut side = Side::new(protocol_named(protocol).unwrap(), address);
        side.address = Some(address.parse().unwrap());
        (0..100).for_each(|_| side.summary.rtt.add(Duration::from_micros(microseconds)));
        side
    }

    fn claim_about(other: &str, other_address: &str, differences: &[i64]) -> Option<Claim> {
        let ping = side("icmp", "192.0.2.7:0", 100);
        let other = side(other, other_address, 140);
        let context = ClaimContext {
            side: &ping,
            other: &other,
            is_b: false,
            difference: PairedDifference::of(differences, 0.95).unwrap(),
            with_connection: None,
        };
        ping_is_the_rtt_of_an_application(&context)
    }

    fn claim(other_address: &str, difference: i64) -> Claim {
        claim_about("udp", other_address, &[difference; 100]).unwrap()
    }

    #[test]
    fn claim_about_ping_is_refuted_if_the_application_takes_longer() {
        let refuted = claim("192.0.2.7:25000", 40_000);
        assert_eq!(refuted.holds, Some(false));
        assert!(refuted.evidence.starts_with("ICMP: 100.0 µs, UDP: 140.0 µs"), "{refuted:?}");
        assert!(refuted.evidence.ends_with("must also wake the server program."), "{refuted:?}");
        let mapped = claim("[::ffff:192.0.2.7]:25000", 40_000);
        assert_eq!(mapped.holds, Some(false), "{mapped:?}");
    }

    #[test]
    fn claim_about_ping_has_another_reason_if_ping_takes_longer() {
        let refuted = claim("192.0.2.7:25000", -40_000);
        assert_eq!(refuted.holds, Some(false));
        assert!(
            refuted.evidence.ends_with("can process ICMP with a lower priority."),
            "{refuted:?}"
        );
        assert!(!refuted.evidence.contains("wake"), "{refuted:?}");
    }

    #[test]
    fn claim_about_ping_is_undecided_without_a_measurable_difference() {
        let equal = claim("192.0.2.7:25000", 0);
        assert_eq!(equal.holds, None);
        assert!(equal.evidence.contains("no measurable difference"), "{equal:?}");
        let few = claim_about("udp", "192.0.2.7:25000", &[40_000; 2]).unwrap();
        assert_eq!(few.holds, None);
        assert!(few.evidence.contains("too few pairs or too many"), "{few:?}");
        let other_address = claim("192.0.2.8:25000", 40_000);
        assert_eq!(other_address.holds, None);
        assert!(other_address.evidence.contains("different addresses"), "{other_address:?}");
        assert_eq!(claim_about("icmp", "192.0.2.7:0", &[40_000; 100]), None);
    }

    #[test]
    fn regular_pattern_has_a_rate_limit_as_a_possible_reason() {
        let note = Explanations.missing_replies(LossPattern { period: 10 });
        assert!(note.contains("about every 10 requests"), "{note}");
        assert!(note.contains("A possible reason is a router or a host that limits"), "{note}");
    }
}
