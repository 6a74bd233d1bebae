//! What a client sees over one protocol at one address: what, how it is known, and what it means.

use super::WRONG_ANSWER_SHOWN;
use super::wrap::wrapped;
use crate::analysis::diagnosis::{Finding, ProbeResult};
use crate::model::condition::Failure;
use crate::model::exchange::UnconnectedResult;
use crate::model::format::duration;
use crate::model::icmp::Origin;
use echo_core::escape;
use std::io::{self, Write};

/// How far what belongs to a finding is moved in.
const INDENT: &str = "               ";

/// Writes a finding.
pub(super) fn write(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let title = finding.protocol.title;
    let whom = finding.address.map_or_else(|| finding.target.clone(), |at| at.to_string());
    let after = duration(finding.after());
    wrapped(out, "  ", &format!("{title} {whom}: {} after {after}", finding.condition()))?;
    if let Some(took) = finding.connect_duration {
        line(out, "connected", &format!("in {}", duration(took)))?;
    }
    if let Some(failure) = finding.failure() {
        if let Some(word) = word(failure) {
            line(out, "who said so", &word)?;
        }
        if let Some(error) = &failure.error {
            line(out, "the system", &error.to_string())?;
        }
        if let Some(detail) = &failure.detail {
            line(out, "seen", detail)?;
        }
    }
    if let ProbeResult::WrongAnswer { text, .. } = &finding.result {
        let shown = &text[..text.len().min(WRONG_ANSWER_SHOWN)];
        let more = if shown.len() < text.len() { "..." } else { "" };
        line(out, "it answered", &format!("{}{more}", escape(shown)))?;
    }
    let explanation = finding.explain();
    line(out, "it means", &explanation.meaning)?;
    line(out, "left open", explanation.not_certain)?;
    line(out, "try next", &explanation.next_step)?;
    if let Some(unconnected) = finding.unconnected {
        line(out, "unconnected", &unconnected_in_words(unconnected))?;
    }
    writeln!(out)
}

/// Who said so.
fn word(failure: &Failure) -> Option<String> {
    match failure.origin? {
        Origin::ThisHost => Some("this host".into()),
        Origin::Peer => Some("whoever answers there".into()),
        Origin::Icmp(icmp) => Some(icmp.to_string()),
        Origin::Unknown => Some("somebody; this system does not tell who".into()),
    }
}

fn unconnected_in_words(unconnected: UnconnectedResult) -> String {
    let saw = match unconnected {
        UnconnectedResult::Reply(after) => format!("the reply after {}", duration(after)),
        UnconnectedResult::Error(_, after) => format!("an error after {}", duration(after)),
        UnconnectedResult::Timeout(waited) => format!("nothing in {}", duration(waited)),
    };
    format!("a socket that is not connected, as the textbook's client has it, saw {saw}")
}

fn line(out: &mut impl Write, what: &str, value: &str) -> io::Result<()> {
    wrapped(out, INDENT, &format!("  {what:<11}  {value}"))
}
