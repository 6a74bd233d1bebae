//! A protocol of `protocols`: a block with its facts.

use super::printer::Printer;
use crate::model::format::count;
use crate::model::protocol::{Framing, IpNumbers, Protocol, ReplyForm, Responder};
use std::io::{self, Write};

/// Writes the facts about a protocol.
pub(super) fn write(printer: &mut Printer<impl Write>, protocol: &Protocol) -> io::Result<()> {
    printer.strong(protocol.title)?;
    let mut fact = |label: &str, value: &str| printer.labelled(&format!("  {label:<17}  "), value);
    let port = protocol.default_port.map(|port| port.to_string());
    let packet_trace = protocol.ip_numbers.map(packet_trace);
    fact("name", &format!("{0} (rtt-client {0}, {0}://HOST)", protocol.name))?;
    fact("default port", port.as_deref().unwrap_or("none: the protocol has no ports"))?;
    fact("replies come from", responder(protocol.responder))?;
    fact("our server", protocol.our_server().unwrap_or("none"))?;
    fact("correct reply", &reply_forms(protocol))?;
    fact("services", &services(protocol))?;
    fact("connection phases", &phases(protocol))?;
    fact("messages", framing(protocol.framing))?;
    fact("order", order(protocol))?;
    fact("lost data", lost_data(protocol))?;
    fact("kernel statistics", protocol.kernel_statistics.unwrap_or("none"))?;
    fact("packet trace", packet_trace.as_deref().unwrap_or("not supported"))?;
    fact("maximum message", &format!("{} bytes", count(protocol.max_message_len as u64)))?;
    printer.blank()
}

fn responder(responder: Responder) -> &'static str {
    match responder {
        Responder::Program(_) => "a server program",
        Responder::Kernel => "the kernel of the target's host",
        Responder::KernelOfServer => "the kernel of the server's host",
    }
}

/// The forms of correct replies, the form of this project's servers first.
fn reply_forms(protocol: &Protocol) -> String {
    let others = protocol.reply_forms().iter().filter(|form| **form != protocol.reply_form);
    let forms = std::iter::once(&protocol.reply_form).chain(others);
    forms.map(|form| reply_form(*form)).collect::<Vec<_>>().join(", or ")
}

fn reply_form(form: ReplyForm) -> &'static str {
    match form {
        ReplyForm::UpperCase => "the request in upper case",
        ReplyForm::Unchanged => "the unchanged request",
    }
}

fn services(protocol: &Protocol) -> String {
    if protocol.services.is_empty() {
        return "none".to_owned();
    }
    let services = protocol.services.iter();
    let services = services.map(|service| format!("{} (port {})", service.name, service.port));
    format!("{}; `--service help` describes them", services.collect::<Vec<_>>().join(", "))
}

fn phases(protocol: &Protocol) -> String {
    if !protocol.has_connections() {
        return "none: the protocol has no connections".to_owned();
    }
    let phases =
        protocol.phases.iter().map(|phase| format!("{} (ends with: {})", phase.name, phase.end));
    phases.collect::<Vec<_>>().join(", ")
}

fn framing(framing: Framing) -> &'static str {
    match framing {
        Framing::Datagrams => "datagrams: one for each message",
        Framing::Stream => "a stream of bytes without boundaries between messages",
    }
}

fn order(protocol: &Protocol) -> &'static str {
    if protocol.is_ordered {
        "replies arrive at most once, in the order of the requests"
    } else {
        "replies can arrive in another order, or more than once"
    }
}

fn lost_data(protocol: &Protocol) -> &'static str {
    if protocol.is_reliable { "the system sends it again" } else { "it is not sent again" }
}

fn packet_trace(numbers: IpNumbers) -> String {
    let IpNumbers { v4, v6 } = numbers;
    if v4 == v6 {
        format!("supported (protocol number {v4} in the IP header)")
    } else {
        format!("supported (protocol number {v4} in the IPv4 header, {v6} in the IPv6 header)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{in_all_layouts, words};
    use super::*;
    use crate::model::protocol::{EXAMPLE, Phase};

    fn text(protocol: &Protocol) -> String {
        words(&in_all_layouts(|printer| write(printer, protocol)))
    }

    #[test]
    fn absent_facts_are_written_as_absent() {
        let text = text(&EXAMPLE);
        for fact in [
            "default port 7 ",
            "our server none ",
            "connection phases none: the protocol has no connections ",
            "kernel statistics none ",
            "packet trace not supported ",
            "maximum message 1,000 bytes",
        ] {
            assert!(text.contains(fact), "{fact} in {text}");
        }
    }

    #[test]
    fn every_fact_changes_the_text() {
        let phases = &[
            Phase { name: "handshake", end: "connection established" },
            Phase { name: "key exchange", end: "keys exchanged" },
        ];
        let numbers = |v4, v6| Some(IpNumbers { v4, v6 });
        for (protocol, fact) in [
            (
                Protocol { default_port: None, ..EXAMPLE },
                "default port none: the protocol has no ports",
            ),
            (
                Protocol { responder: Responder::Kernel, ..EXAMPLE },
                "replies come from the kernel of the target's host",
            ),
            (
                Protocol { responder: Responder::Program(Some("x-echo")), ..EXAMPLE },
                "our server x-echo",
            ),
            (
                Protocol { reply_form: ReplyForm::Unchanged, ..EXAMPLE },
                "correct reply the unchanged request",
            ),
            (
                Protocol { phases, ..EXAMPLE },
                "handshake (ends with: connection established), key exchange (ends with: keys exchanged)",
            ),
            (Protocol { framing: Framing::Stream, ..EXAMPLE }, "messages a stream of bytes"),
            (Protocol { is_ordered: true, ..EXAMPLE }, "order replies arrive at most once"),
            (Protocol { is_reliable: true, ..EXAMPLE }, "lost data the system sends it again"),
            (Protocol { kernel_statistics: Some("x_info"), ..EXAMPLE }, "kernel statistics x_info"),
            (
                Protocol { ip_numbers: numbers(7, 7), ..EXAMPLE },
                "supported (protocol number 7 in the IP header)",
            ),
            (
                Protocol { ip_numbers: numbers(1, 58), ..EXAMPLE },
                "supported (protocol number 1 in the IPv4 header, 58 in the IPv6 header)",
            ),
        ] {
            let text = text(&protocol);
            assert!(text.contains(fact), "{fact} in {text}");
        }
    }
}
