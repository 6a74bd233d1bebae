//! Traces exchanges: captures their packets, explains each packet, and compares the times of the packets with
//! the measured times. This module also explains the packets of a capture file.

mod error;
mod recording;

pub use error::TraceError;

use super::output_file::{FileOperation, OutputFile, OutputFileError};
use super::run::{report_address_limit, resolve_target};
use super::select_address::select_address;
use super::series::RunPosition;
use crate::capture::dissect::dissect;
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::file::{
    self, CapturedPacket, FileError, Incomplete, InterfaceDescription, LinkType, Writer,
};
use crate::capture::flows::{FlowTable, MeasuredFlows};
use crate::capture::trace::{Sample, Trace, TracedTarget};
use crate::event::{Event, Report};
use crate::model::condition::Failure;
use crate::net::system::{self, Interface};
use crate::plan::{Plan, TracePlan};
use recording::{RecordConfig, record};
use std::error::Error as _;
use std::io::{self, BufWriter, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The comment of a packet that belongs to no exchange of the trace.
const FOREIGN_PACKET: &str = "belongs to no exchange of this trace";

/// Moves this process into a new user namespace and a new network namespace (Linux). In these namespaces, an
/// ordinary user may capture packets. The process must have only one thread (unshare(2), `CLONE_NEWUSER`).
///
/// # Errors
///
/// [`TraceError::Lab`] if the system does not permit the namespaces.
pub fn enter_lab() -> Result<(), TraceError> {
    Ok(system::enter_lab()?)
}

/// Makes the kernel kill the child of `command` when the calling thread ends (Linux, prctl(2), `PR_SET_PDEATHSIG`). So the
/// child also ends if SIGKILL ends this process. On other systems, the function does nothing.
pub fn end_with_this_thread(command: &mut Command) {
    system::end_with_this_thread(command);
}

/// Runs the exchanges of `plan`, captures their packets, and reports the result. If `file` is given, writes the packets
/// to it as pcapng. Without a captured packet, an interrupted trace does not write the file. The same applies to a trace
/// without a capture, because the names of all targets have no address. Returns whether every exchange had a correct
/// reply.
///
/// # Errors
///
/// [`TraceError`]. A server that does not reply is not an error. The trace shows the missing reply. If the file cannot
/// be written, the result is reported before the error is returned.
pub fn trace(
    plan: &TracePlan,
    file: Option<OutputFile>,
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<bool, TraceError> {
    let mut session = Session { writes_file: file.is_some(), ..Session::default() };
    for target in &plan.plans {
        if stop.load(Ordering::Relaxed) {
            session.has_failures = true;
            break;
        }
        session.trace_target(target, plan.count, report, stop)?;
    }
    let Session { mut trace, captured, interfaces, has_failures, .. } = session;
    trace.interrupted = has_failures && stop.load(Ordering::Relaxed);
    let is_written = !captured.is_empty() || !(interfaces.is_empty() || trace.interrupted);
    let written = match file.filter(|_| is_written) {
        Some(file) => write_file(file, &interfaces, &captured, &trace).map(Some),
        None => Ok(None),
    };
    if let Ok(Some(path)) = &written {
        trace.file = Some(path.display().to_string());
    }
    write_report(&trace, report)?;
    written?;
    Ok(!has_failures && !plan.plans.is_empty())
}

/// Explains the packets of a pcapng or pcap file. `path` is the path of the file, for error messages.
///
/// # Errors
///
/// [`TraceError::Read`] or [`TraceError::UnknownFormat`] if nothing can be read. [`TraceError::Report`]
/// if the report cannot be written. In a damaged file, the packets before the damage are explained.
pub fn read_trace(file: impl Read, path: &Path, report: &mut dyn Report) -> Result<(), TraceError> {
    let contents = file::read(file).map_err(|error| match error {
        FileError::Read(source) => TraceError::Read { path: path.to_owned(), source },
        FileError::UnknownFormat => TraceError::UnknownFormat { path: path.to_owned() },
    })?;
    let (packets, mut unreadable) = (contents.packets.len(), 0);
    // The iterator frees the bytes of each packet before it dissects the next packet.
    let dissected = contents.packets.into_iter().map(|captured| {
        let packet = dissect(&captured);
        unreadable += usize::from(packet.is_none() && is_unreadable(&captured));
        packet
    });
    let table = FlowTable::of_file(dissected);
    let trace = Trace {
        targets: TracedTarget::by_protocol(table.flows),
        dropped: contents.dropped,
        packets,
        skipped: table.skipped,
        unreadable,
        beyond_flow_limit: table.beyond_limit,
        without_time: contents.without_time,
        incomplete: contents.incomplete.as_ref().map(reason_with_source),
        ..Trace::default()
    };
    write_report(&trace, report)
}

/// Explains the packets of a file in the same way as the packets of a measurement with `server`. Each request and each
/// reply has one byte. Only the fuzz target calls this function.
///
/// # Panics
///
/// The number of exchanges exceeds the number of captured packets and bytes.
#[cfg(fuzzing)]
pub fn explain_as_measurement(
    file: impl Read,
    [client, server]: [SocketAddr; 2],
    report: &mut dyn Report,
) {
    let Ok(contents) = file::read(file) else { return };
    let bytes: usize = contents.packets.iter().map(|packet| packet.bytes.len()).sum();
    for protocol in crate::protocol::registry::PROTOCOLS {
        let lengths = Some(MessageLengths { request: 1, reply: 1 });
        let measured = MeasuredFlows { protocol, server, clients: &[client], lengths };
        let packets = contents.packets.iter().map(dissect);
        let table = FlowTable::of_measurement(packets, 1, measured);
        let exchanges: usize = table.flows.iter().map(|flow| flow.exchanges.len()).sum();
        assert!(exchanges <= bytes + contents.packets.len());
        let sample = || Sample { client: Some(client), ..Sample::default() };
        let target = TracedTarget {
            samples: (0..3).map(|_| sample()).collect(),
            ..TracedTarget::new(protocol)
        };
        let targets = vec![target.with_flows(table.flows)];
        // The fuzz target ignores the report.
        let _ = write_report(&Trace { targets, ..Trace::default() }, report);
    }
}

fn write_report(trace: &Trace, report: &mut dyn Report) -> Result<(), TraceError> {
    report.event(&Event::Trace(trace)).map_err(TraceError::Report)?;
    report.flush().map_err(TraceError::Report)
}

/// The reason why only a part of a file was read, with the system's error.
fn reason_with_source(incomplete: &Incomplete) -> String {
    match incomplete.source() {
        Some(source) => format!("{incomplete}: {source}"),
        None => incomplete.to_string(),
    }
}

/// The state of a trace over all targets.
#[derive(Default)]
struct Session {
    trace: Trace,
    /// The number of packets of all captures.
    packets: usize,
    /// Whether the trace writes a file. Otherwise, `captured` is empty.
    writes_file: bool,
    captured: Vec<CapturedPacket>,
    /// The interface of each target that has an address. The index is [`CapturedPacket::interface`].
    interfaces: Vec<Interface>,
    /// Whether an exchange had no correct reply or was skipped.
    has_failures: bool,
}

impl Session {
    /// Runs the exchanges with one target, and adds their packets to the trace.
    fn trace_target(
        &mut self,
        plan: &Plan,
        count: u64,
        report: &mut dyn Report,
        stop: &AtomicBool,
    ) -> Result<(), TraceError> {
        let resolved = match resolve_target(plan, stop) {
            Ok(resolved) => resolved,
            Err(_) if stop.load(Ordering::Relaxed) => {
                self.has_failures = true;
                return Ok(());
            }
            Err(failure) => {
                self.has_failures = true;
                self.trace.targets.push(unresolved_target(plan, failure));
                return Ok(());
            }
        };
        report_address_limit(plan, &resolved, report).map_err(TraceError::Report)?;
        let address = address_on_the_wire(select_address(plan, &resolved.addresses, stop)?.address);
        let is_first = self.interfaces.is_empty();
        let position = if is_first { RunPosition::Start } else { RunPosition::Middle };
        let config = RecordConfig { count, interface: self.interfaces.len(), position };
        let recording = record(plan, address, config, stop)?;
        let replies = recording.samples.iter().filter(|sample| sample.rtt.is_some()).count();
        self.has_failures |= replies as u64 != count;
        let dropped = self.trace.dropped.zip(recording.dropped);
        self.trace.dropped = dropped.map(|(sum, dropped)| sum.saturating_add(dropped));
        self.trace.limit_reached |= recording.limit_reached;
        let lengths = plan.payload.reply_len().map(|reply| MessageLengths {
            request: plan.payload.request_len() as u64,
            reply: reply as u64,
        });
        let first_number = self.packets + 1;
        self.packets += recording.packets.len();
        let measured = MeasuredFlows {
            protocol: plan.protocol,
            server: address,
            clients: &recording.clients,
            lengths,
        };
        let packets = recording.packets.iter().map(dissect);
        let table = FlowTable::of_measurement(packets, first_number, measured);
        let target = TracedTarget {
            target: plan.url(),
            interface: Some(recording.interface.name.clone()),
            samples: recording.samples,
            ..TracedTarget::new(plan.protocol)
        };
        self.trace.targets.push(target.with_flows(table.flows));
        if self.writes_file {
            self.captured.extend(recording.packets);
        }
        self.interfaces.push(recording.interface);
        Ok(())
    }
}

/// A target whose name has no address.
fn unresolved_target(plan: &Plan, failure: Failure) -> TracedTarget {
    TracedTarget {
        target: plan.url(),
        samples: vec![Sample { failure: Some(failure), ..Sample::default() }],
        ..TracedTarget::new(plan.protocol)
    }
}

/// Whether a packet is truncated or has an unknown link type.
fn is_unreadable(captured: &CapturedPacket) -> bool {
    let is_truncated = captured.bytes.len() < captured.original_length;
    is_truncated || matches!(captured.link_type, LinkType::Other(_))
}

/// Writes the packets to the file, each with a comment. Returns the path of the file.
fn write_file(
    mut file: OutputFile,
    interfaces: &[Interface],
    captured: &[CapturedPacket],
    trace: &Trace,
) -> Result<PathBuf, OutputFileError> {
    write_packets(&mut file, interfaces, captured, trace)
        .map_err(|error| file.error(FileOperation::Write, error))?;
    let path = file.path().to_owned();
    file.finish()?;
    Ok(path)
}

fn write_packets(
    file: &mut OutputFile,
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

fn link_type_of(interface: &Interface) -> LinkType {
    if interface.is_ethernet { LinkType::Ethernet } else { LinkType::Raw }
}

/// The destination in the packets to `address`. For an unspecified address, this is the loopback address of this
/// host. For an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2), it is the IPv4 address.
fn address_on_the_wire(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        IpAddr::V4(ip) => (ip, address.port()).into(),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report that writes to a closed pipe.
    struct ClosedPipe;

    impl Report for ClosedPipe {
        fn event(&mut self, _: &Event<'_>) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn error_of_the_report_is_the_source_of_the_trace_error() {
        // A pcap file without packets.
        let file = [&[0xd4, 0xc3, 0xb2, 0xa1][..], &[0; 20]].concat();
        let error = read_trace(&file[..], Path::new("x"), &mut ClosedPipe).unwrap_err();
        assert!(matches!(error, TraceError::Report(_)), "{error:?}");
        let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn error_about_an_unknown_format_contains_the_path() {
        let error = read_trace(&b"GET /"[..], Path::new("x.pcap"), &mut ClosedPipe).unwrap_err();
        assert_eq!(error.to_string(), "x.pcap is neither a pcapng file nor a pcap file");
    }

    #[test]
    fn destination_in_the_packets_is_neither_unspecified_nor_mapped() {
        for (address, expected) in [
            ("0.0.0.0:7", "127.0.0.1:7"),
            ("[::]:7", "[::1]:7"),
            ("[::ffff:10.0.0.1]:7", "10.0.0.1:7"),
            ("10.0.0.1:7", "10.0.0.1:7"),
            ("[fd00::1]:7", "[fd00::1]:7"),
        ] {
            assert_eq!(address_on_the_wire(address.parse().unwrap()), expected.parse().unwrap());
        }
    }
}
