//! The pcapng file that a trace writes.

use super::{TraceError, link_type_of};
use crate::capture::file::{CapturedPacket, InterfaceDescription, Writer};
use crate::capture::trace::Trace;
use crate::net::system::Interface;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The comment of a packet that belongs to no exchange of the trace.
const FOREIGN_PACKET: &str = "belongs to no exchange of this trace";

/// A file that was created and that is still empty.
pub(super) struct OutputFile {
    path: PathBuf,
    file: File,
}

impl OutputFile {
    pub(super) fn create(path: &Path) -> Result<Self, TraceError> {
        match File::create(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(source) => {
                Err(TraceError::File { operation: "creating", path: path.to_owned(), source })
            }
        }
    }

    /// Writes the packets, each with a comment. Returns the name of the file.
    pub(super) fn write(
        self,
        interfaces: &[Interface],
        captured: &[CapturedPacket],
        trace: &Trace,
    ) -> Result<String, TraceError> {
        let Self { path, file } = self;
        let name = path.display().to_string();
        match write_packets(file, interfaces, captured, trace) {
            Ok(()) => Ok(name),
            Err(source) => Err(TraceError::File { operation: "writing", path, source }),
        }
    }
}

fn write_packets(
    file: File,
    interfaces: &[Interface],
    captured: &[CapturedPacket],
    trace: &Trace,
) -> io::Result<()> {
    let application = concat!("rtt-client ", env!("CARGO_PKG_VERSION"));
    let mut writer = Writer::new(BufWriter::new(file), application)?;
    for interface in interfaces {
        writer.write_interface(&InterfaceDescription {
            link_type: link_type_of(interface),
            name: &interface.name,
            description: &format!("exchanges on {}", interface.name),
        })?;
    }
    let comments = trace.comments();
    for (number, packet) in (1..).zip(captured) {
        let comment = comments.get(&number).map_or(FOREIGN_PACKET, |comment| comment);
        writer.write_packet(packet, comment)?;
    }
    let last = captured.last().map_or(Duration::ZERO, |packet| packet.time);
    writer.finish(trace.dropped, last)
}
