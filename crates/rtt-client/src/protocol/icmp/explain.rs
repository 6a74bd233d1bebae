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
        vec![ping_is_the_rtt_of_an_application(context)]
    }

    fn packets_not_counted(&self) -> &'static str {
        "a request is longer than a packet, and this system does not count fragments"
    }

    fn missing_replies(&self, LossPattern { period }: LossPattern) -> Option<String> {
        Some(format!(
            "The missing replies form a regular pattern: a gap starts about every {period} requests. A possible reason \
             is a router or a host that limits its rate of {} messages. To test this, send fewer requests per second.",
            FACTS.title
        ))
    }
}

fn ping_is_the_rtt_of_an_application(context: &ClaimContext<'_>) -> Claim {
    let claim = "the time that `ping` shows is the RTT of an application on the host";
    let ClaimContext { side, other, .. } = context;
    if !other.protocol.needs_server_program() {
        return undecided(claim, "Not measured: this needs a comparison with a server program.");
    }
    let ip = |address: Option<std::net::SocketAddr>| address.map(|address| address.ip());
    if ip(side.address) != ip(other.address) {
        return undecided(claim, "Not measured: the two sides are different hosts.");
    }
    let (Some(ping), Some(application)) = (side.summary.rtt.median(), other.summary.rtt.median())
    else {
        return undecided(claim, "Not measured: a side has no reply.");
    };
    let title = other.protocol.title;
    match context.relation() {
        Relation::NoMeasurableDifference => Claim {
            claim,
            holds: Some(true),
            evidence: format!(
                "In this run, {} and {title} have no measurable difference.",
                FACTS.title
            ),
        },
        Relation::Lower | Relation::Higher => Claim {
            claim,
            holds: Some(false),
            evidence: format!(
                "{}: {}, {title}: {} (medians). The kernel of the host replies to {}. For {title}, the kernel must \
                 also wake the server program.",
                FACTS.title,
                duration(ping),
                duration(application),
                FACTS.title
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::comparison::PairedDifference;
    use crate::analysis::diagnosis::ProbeResult;
    use crate::analysis::evidence::Side;
    use crate::model::condition::Failure;
    use crate::protocol_named;
    use std::time::Duration;

    fn finding(result: ProbeResult) -> Finding {
        Finding {
            protocol: &FACTS,
            target: "host".to_owned(),
            address: None,
            icmp_from_this_host: false,
            connect_duration: None,
            sent: 3,
            result,
            unconnected: None,
        }
    }

    #[test]
    fn reply_shows_that_the_host_is_up_but_silence_does_not_show_that_it_is_down() {
        let rtt = Duration::from_millis(1);
        let answering = finding(ProbeResult::Echo { rtt, is_ours: false }).explain();
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

    fn claim(other_address: &str, difference: i64) -> Claim {
        let ping = side("icmp", "192.0.2.7:0", 100);
        let other = side("udp", other_address, 140);
        let context = ClaimContext {
            side: &ping,
            other: &other,
            is_b: false,
            difference: PairedDifference::of(&[difference; 100], 0.95).unwrap(),
            with_connection: None,
        };
        ping_is_the_rtt_of_an_application(&context)
    }

    #[test]
    fn claim_about_ping_is_refuted_if_the_application_takes_longer() {
        let refuted = claim("192.0.2.7:25000", 40_000);
        assert_eq!(refuted.holds, Some(false));
        assert!(refuted.evidence.starts_with("ICMP: 100.0 µs, UDP: 140.0 µs"), "{refuted:?}");
        assert_eq!(claim("192.0.2.7:25000", 0).holds, Some(true));
        assert_eq!(claim("192.0.2.8:25000", 40_000).holds, None);
    }

    #[test]
    fn regular_pattern_has_a_rate_limit_as_a_possible_reason() {
        let note = Explanations.missing_replies(LossPattern { period: 10 }).unwrap();
        assert!(note.contains("about every 10 requests"), "{note}");
        assert!(note.contains("A possible reason is a router or a host that limits"), "{note}");
    }
}
