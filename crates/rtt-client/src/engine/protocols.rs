//! Reports the facts about all protocols.

use crate::event::{Event, Report};
use crate::protocol::registry::PROTOCOLS;
use std::io;

/// Reports one event for each protocol, in the order of the registry.
///
/// # Errors
///
/// The errors of the report.
pub fn list_protocols(report: &mut dyn Report) -> io::Result<()> {
    for protocol in PROTOCOLS {
        report.event(&Event::Protocol(protocol))?;
    }
    report.flush()
}
