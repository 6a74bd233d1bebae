//! The conclusion of `diagnose` about the host of an address.

use super::printer::Printer;
use crate::analysis::diagnosis::HostFinding;
use std::io::{self, Write};

/// Writes the conclusion about a host.
pub(super) fn write(printer: &mut Printer<impl Write>, host: &HostFinding) -> io::Result<()> {
    printer.strong(&format!("Host {}: {}", host.address, host.headline()))?;
    for check in &host.checks {
        printer.labelled("  host check   ", &check.describe())?;
    }
    printer.labelled("  meaning      ", &host.meaning())?;
    printer.blank()
}
