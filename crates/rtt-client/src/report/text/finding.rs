//! A finding of `diagnose`: the condition, the evidence for it, and its meaning.

use super::WRONG_ANSWER_LIMIT;
use super::printer::Printer;
use crate::analysis::diagnosis::{Finding, ProbeResult};
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::UnconnectedResult;
use crate::model::format::duration;
use crate::model::icmp::Origin;
use echo_core::escape;
use std::io::{self, Write};

/// Writes a finding.
pub(super) fn write(printer: &mut Printer<impl Write>, finding: &Finding) -> io::Result<()> {
    let title = finding.protocol.title;
    let target = finding.address.map_or_else(|| finding.target.clone(), |at| at.to_string());
    let after = duration(finding.after());
    printer.strong(&format!("{title} {target}: {} after {after}", finding.condition()))?;
    if let Some(took) = finding.connect_duration {
        line(printer, "connected", &format!("after {}", duration(took)))?;
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
    if let ProbeResult::WrongAnswer { text, .. } = &finding.result {
        let shown = &text[..text.len().min(WRONG_ANSWER_LIMIT)];
        let more = if shown.len() < text.len() { "..." } else { "" };
        line(printer, "received", &format!("{}{more}", escape(shown)))?;
    }
    let explanation = finding.explain();
    line(printer, "meaning", &explanation.meaning)?;
    line(printer, "not certain", explanation.not_certain)?;
    line(printer, "next step", &explanation.next_step)?;
    if let Some(result) = finding.unconnected {
        let text = format!("textbook client (no `connect`): {}", textbook_client(result));
        printer.indented("  ", 4, &text)?;
    }
    printer.blank()
}

/// The sender of the error.
fn reporter(finding: &Finding, failure: &Failure) -> Option<String> {
    Some(match failure.origin? {
        Origin::ThisHost => "this host (it did not send the packet)".to_owned(),
        Origin::Icmp(icmp) => icmp.to_string(),
        Origin::Unknown => "not known: this system does not report the sender".to_owned(),
        Origin::Peer => {
            let title = finding.protocol.title;
            let event = match failure.condition {
                Condition::Closed => format!("the end of the {title} connection"),
                _ => format!("a {title} reset"),
            };
            let from = finding.address.map_or_else(String::new, |at| format!(" from {}", at.ip()));
            format!("{event}{from} (sent by the host, or by a firewall that uses its address)")
        }
    })
}

/// The result of a client that does not connect its socket, as in textbooks.
fn textbook_client(result: UnconnectedResult) -> String {
    match result {
        UnconnectedResult::Reply(after) => {
            format!("receives the reply after {}", duration(after))
        }
        UnconnectedResult::Error(_, after) => {
            format!("receives an error after {}", duration(after))
        }
        UnconnectedResult::Timeout(waited) => format!(
            "receives no error and waits forever (this test stopped after {})",
            duration(waited)
        ),
    }
}

fn line(printer: &mut Printer<impl Write>, label: &str, value: &str) -> io::Result<()> {
    printer.labelled(&format!("  {label:<11}  "), value)
}
