//! A finding of `diagnose`: the condition, the evidence for the condition, and the meaning.

use super::printer::Printer;
use super::wrong_answer_excerpt;
use crate::analysis::diagnosis::{Finding, ProbeResult};
use crate::model::condition::Failure;
use crate::model::exchange::UnconnectedResult;
use crate::model::format::duration;
use crate::model::icmp::Origin;
use std::io::{self, Write};

/// Writes a finding.
pub(super) fn write(printer: &mut Printer<impl Write>, finding: &Finding) -> io::Result<()> {
    let title = finding.protocol.title;
    let target = match finding.address {
        Some(address) => finding.protocol.display_address(address).to_string(),
        None => finding.target.clone(),
    };
    let (condition, after) = (finding.condition(), duration(finding.after()));
    // The times of a reply and of the other results have different starts.
    let result = match &finding.result {
        ProbeResult::Service { rtt: None, .. } => {
            format!("{condition}, reply {after} after the first of {} requests", finding.sent)
        }
        ProbeResult::Echo { .. }
        | ProbeResult::Service { .. }
        | ProbeResult::WrongAnswer { .. } => {
            let start = if finding.expected.sends_first(finding.protocol) {
                "the connection was established"
            } else {
                "the request"
            };
            format!("{condition}, reply {after} after {start}")
        }
        ProbeResult::NoAnswer(_) => format!("{condition} after {after}"),
    };
    printer.strong(&format!("{title} {target}: {result}"))?;
    if let Some(took) = finding.connect_duration {
        line(printer, "connection", &format!("established; this took {}", duration(took)))?;
    }
    if let Some(failure) = finding.failure() {
        if let Some(reporter) = reporter(finding, failure) {
            line(printer, "reported by", &reporter)?;
        }
        if let Some(error) = &failure.error {
            line(printer, "error", &error.to_string())?;
        }
        if let Some(detail) = &failure.detail {
            line(printer, "observed", detail)?;
        }
    }
    if let ProbeResult::WrongAnswer { text, .. } | ProbeResult::Service { reply: text, .. } =
        &finding.result
    {
        line(printer, "received", &wrong_answer_excerpt(text))?;
    }
    let explanation = finding.explain();
    line(printer, "meaning", &explanation.meaning)?;
    line(printer, "not certain", explanation.not_certain)?;
    line(printer, "next step", &explanation.next_step)?;
    if let Some(result) = finding.unconnected {
        let text = format!("textbook client (no `connect`): {}", unconnected_client(result));
        printer.indented("  ", 4, &text)?;
    }
    printer.blank()
}

/// Describes the sender of the error. Absent if the client detected the failure itself.
fn reporter(finding: &Finding, failure: &Failure) -> Option<String> {
    Some(match failure.origin? {
        Origin::ThisHost => "this host (it did not send the packet)".to_owned(),
        Origin::Icmp(icmp) => icmp.to_string(),
        Origin::Unknown => "not known: this system does not report the sender".to_owned(),
        Origin::Peer => match (finding.packet_of_peer(), finding.address) {
            (Some(packet), Some(address)) => format!(
                "{packet} from {} (sent by the host, or by a firewall that uses its address)",
                address.ip()
            ),
            (_, Some(address)) => {
                format!("the peer ({}), or a firewall that uses its address", address.ip())
            }
            (_, None) => "the peer, or a firewall that uses its address".to_owned(),
        },
    })
}

/// The result of a client that does not connect its socket. The clients in textbooks do not connect it.
fn unconnected_client(result: UnconnectedResult) -> String {
    match result {
        UnconnectedResult::Reply(after) => {
            format!("receives the reply after {}", duration(after))
        }
        UnconnectedResult::Error(_, after) => {
            format!("receives an error after {}", duration(after))
        }
        UnconnectedResult::Timeout(waited) => format!(
            "receives no error within {}; without a timeout it waits forever",
            duration(waited)
        ),
    }
}

fn line(printer: &mut Printer<impl Write>, label: &str, value: &str) -> io::Result<()> {
    printer.labelled(&format!("  {label:<11}  "), value)
}

#[cfg(test)]
mod tests {
    use super::super::WRONG_ANSWER_LIMIT;
    use super::super::test_support::{in_all_layouts, microseconds, printer, words, written};
    use super::*;
    use crate::analysis::diagnosis::EchoServer;
    use crate::model::condition::Condition;
    use crate::protocol::registry::protocol_named;
    use std::time::Duration;

    fn finding(protocol: &str, result: ProbeResult) -> Finding {
        Finding {
            address: Some("192.0.2.7:7".parse().unwrap()),
            sent: 1,
            ..Finding::new(protocol_named(protocol).unwrap(), "server.example:7", result)
        }
    }

    fn refused(origin: Origin) -> ProbeResult {
        let failure = Failure::new(Condition::Refused, microseconds(45));
        ProbeResult::NoAnswer(Failure { origin: Some(origin), ..failure })
    }

    #[test]
    fn reset_has_the_address_of_its_sender() {
        let finding = finding("tcp", refused(Origin::Peer));
        let text = in_all_layouts(|printer| write(printer, &finding));
        assert!(text.starts_with("TCP 192.0.2.7:7: refused after 45.0 µs\n"), "{text}");
        let expected = "reported by a TCP reset from 192.0.2.7 (sent by the host, or by a firewall that \
                        uses its address) ";
        assert!(words(&text).contains(expected), "{text}");
        for label in ["  meaning      ", "  not certain  ", "  next step    "] {
            assert!(text.contains(label), "{text}");
        }
    }

    #[test]
    fn times_of_the_reply_and_of_the_connection_have_different_starts() {
        let rtt = microseconds(200);
        let answering = Finding {
            connect_duration: Some(microseconds(283)),
            ..finding("tcp", ProbeResult::Echo { rtt, server: EchoServer::OfThisProject })
        };
        let text = in_all_layouts(|printer| write(printer, &answering));
        let heading = "TCP 192.0.2.7:7: answering, reply 200.0 µs after the request\n";
        assert!(text.starts_with(heading), "{text}");
        assert!(text.contains("  connection   established; this took 283.0 µs\n"), "{text}");
    }

    #[test]
    fn peer_without_a_named_packet_is_described_neutrally() {
        let finding = finding("udp", refused(Origin::Peer));
        let text = words(&in_all_layouts(|printer| write(printer, &finding)));
        let expected = "reported by the peer (192.0.2.7), or a firewall that uses its address ";
        assert!(text.contains(expected) && !text.contains("reset"), "{text}");
    }

    #[test]
    fn unconnected_client_without_an_error_waits_forever() {
        let unconnected = Some(UnconnectedResult::Timeout(Duration::from_secs(1)));
        let finding = Finding { unconnected, ..finding("udp", refused(Origin::Unknown)) };
        let text = in_all_layouts(|printer| write(printer, &finding));
        let expected = "textbook client (no `connect`): receives no error within 1.000 s; without a timeout it \
                        waits forever";
        assert!(words(&text).contains(expected), "{text}");
    }

    #[test]
    fn wrong_answer_is_escaped_and_shortened() {
        let failure = Failure::new(Condition::WrongAnswer, microseconds(45));
        let text = [b"\x1b[2J ", &[b'A'; 500][..]].concat().into();
        let finding = finding("tcp", ProbeResult::WrongAnswer { failure, text });
        let mut printer = printer(80);
        write(&mut printer, &finding).unwrap();
        let text = written(printer);
        assert!(words(&text).contains(r"received \x1b[2J AAA"), "{text}");
        assert!(text.matches('A').count() < WRONG_ANSWER_LIMIT, "{text}");
    }
}
