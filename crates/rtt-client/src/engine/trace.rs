//! Traces exchanges: captures their packets, explains them, and compares them with the measurement. Also
//! explains the packets of a capture file.

mod output_file;
mod recording;

use super::run::{RunError, resolve_target, select_address};
use crate::capture::dissect::{Packet, dissect};
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::file::{self, CapturedPacket, FileError, LinkType};
use crate::capture::flows::FlowTable;
use crate::capture::trace::{Sample, Trace, TracedTarget};
use crate::event::{Event, Report};
use crate::model::condition::Failure;
use crate::net::system::{self, Interface};
use crate::plan::{Plan, TracePlan};
use output_file::OutputFile;
use recording::{RecordConfig, record};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Why a trace failed. A message contains no text of its source, so print the whole chain of sources.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The exchanges could not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The report could not be written.
    #[error("writing the report failed")]
    Report(#[source] io::Error),
    /// The system does not permit the capture.
    #[error(
        "capturing the packets to {address} requires the capability CAP_NET_RAW (grant it with \
         `sudo setcap cap_net_raw+ep PATH-OF-rtt-client`, or use --lab)"
    )]
    NotPermitted {
        /// The address of the server.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system can't capture the packets.
    #[error("{operation} {address} failed")]
    Capture {
        /// The operation that failed, in words that an address can follow.
        operation: &'static str,
        /// The address of the server.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The namespaces of `--lab` can't be created.
    #[error("creating a network namespace failed")]
    Lab(#[source] io::Error),
    /// A file can't be created, written or read.
    #[error("{operation} {} failed", path.display())]
    File {
        /// `creating`, `writing` or `reading`.
        operation: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file has another format.
    #[error("{} is neither a pcapng file nor a pcap file", path.display())]
    UnknownFormat {
        /// The path of the file.
        path: PathBuf,
    },
}

/// Moves this process into a new user namespace and a new network namespace, in which an ordinary user
/// may capture packets (Linux). The process must not have other threads yet (unshare(2),
/// `CLONE_NEWUSER`).
///
/// # Errors
///
/// [`TraceError::Lab`] if the system does not permit it.
pub fn enter_lab() -> Result<(), TraceError> {
    system::enter_lab().map_err(TraceError::Lab)
}

/// Runs the exchanges of `plan`, captures their packets, and reports the result. If `file` is given,
/// writes the packets to it as pcapng. Returns whether every exchange had a reply.
///
/// # Errors
///
/// [`TraceError`]. A server that does not reply is not an error: the trace shows it.
pub fn trace(
    plan: &TracePlan,
    file: Option<&Path>,
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<bool, TraceError> {
    // A path that can't be written is an error before the first packet is sent.
    let output = file.map(OutputFile::create).transpose()?;
    let mut session = Session::default();
    for target in &plan.plans {
        session.trace_target(target, plan.count, stop)?;
    }
    let Session { mut trace, captured, interfaces, has_failures } = session;
    if let Some(output) = output {
        trace.file = Some(output.write(&interfaces, &captured, &trace)?);
    }
    write_report(&trace, report)?;
    Ok(!has_failures && !plan.plans.is_empty())
}

/// Explains the packets of a pcapng or pcap file. Errors contain the file's `path`.
///
/// # Errors
///
/// [`TraceError::File`] or [`TraceError::UnknownFormat`] if no packet can be read, [`TraceError::Report`]
/// if the report can't be written. A damaged file is read up to the damage.
pub fn read_trace(file: impl Read, path: &Path, report: &mut dyn Report) -> Result<(), TraceError> {
    let contents = file::read(file).map_err(|error| match error {
        FileError::Read(source) => {
            TraceError::File { operation: "reading", path: path.to_owned(), source }
        }
        FileError::UnknownFormat => TraceError::UnknownFormat { path: path.to_owned() },
    })?;
    let packets: Vec<_> = contents.packets.iter().map(dissect).collect();
    let table = FlowTable::from_packets(&packets, 1, None);
    let trace = Trace {
        targets: TracedTarget::by_protocol(table.flows),
        dropped: contents.dropped,
        packets: contents.packets.len(),
        skipped: table.skipped,
        unreadable: count_unreadable(&contents.packets, &packets),
        without_time: contents.without_time,
        incomplete: contents.incomplete.map(|reason| reason.to_string()),
        file: None,
    };
    write_report(&trace, report)
}

fn write_report(trace: &Trace, report: &mut dyn Report) -> Result<(), TraceError> {
    report.event(&Event::Trace(trace)).map_err(TraceError::Report)?;
    report.flush().map_err(TraceError::Report)
}

/// The state of a trace over all targets.
#[derive(Default)]
struct Session {
    trace: Trace,
    captured: Vec<CapturedPacket>,
    /// The interface of each target. The index is [`CapturedPacket::interface`].
    interfaces: Vec<Interface>,
    /// Whether an exchange had no reply or was not made.
    has_failures: bool,
}

impl Session {
    /// Runs the exchanges with one target, and explains their packets.
    fn trace_target(
        &mut self,
        plan: &Plan,
        count: u64,
        stop: &AtomicBool,
    ) -> Result<(), TraceError> {
        let addresses = match resolve_target(plan) {
            Ok(addresses) => addresses,
            Err(failure) => {
                self.has_failures = true;
                self.trace.targets.push(unresolved_target(plan, failure));
                return Ok(());
            }
        };
        let address = address_on_the_wire(select_address(plan, &addresses, stop)?.address);
        let config = RecordConfig { count, interface: self.interfaces.len() };
        let recording = record(plan, address, config, stop)?;
        let replies = recording.samples.iter().filter(|sample| sample.rtt.is_some()).count();
        self.has_failures |= replies as u64 != count;
        self.trace.dropped =
            self.trace.dropped.zip(recording.dropped).map(|(sum, dropped)| sum + dropped);

        let packets: Vec<_> = recording.packets.iter().map(dissect).collect();
        let lengths = MessageLengths {
            request: plan.payload.request_len() as u64,
            reply: plan.payload.reply_len() as u64,
        };
        let first_number = self.captured.len() + 1;
        let mut table = FlowTable::from_packets(&packets, first_number, Some(lengths));
        table.retain_clients(&recording.clients);
        let target = TracedTarget {
            target: plan.url(),
            interface: Some(recording.interface.name.clone()),
            samples: recording.samples,
            ..TracedTarget::new(plan.protocol)
        };
        self.trace.targets.push(target.with_flows(table.flows));
        self.captured.extend(recording.packets);
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

/// The number of packets that were not dissected because they end within their headers or have an unknown
/// link type.
fn count_unreadable(captured: &[CapturedPacket], packets: &[Option<Packet>]) -> usize {
    let is_unreadable = |(captured, packet): &(&CapturedPacket, &Option<Packet>)| {
        let is_truncated = captured.bytes.len() < captured.original_length;
        let has_unknown_link = matches!(captured.link_type, LinkType::Other(_));
        packet.is_none() && (is_truncated || has_unknown_link)
    };
    captured.iter().zip(packets).filter(is_unreadable).count()
}

fn link_type_of(interface: &Interface) -> LinkType {
    if interface.is_ethernet { LinkType::Ethernet } else { LinkType::Raw }
}

/// The address that packets to `address` really have: the unspecified address means this host, and an
/// IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) becomes an IPv4 address.
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
    use std::error::Error as _;

    /// A report whose reader has closed the pipe.
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
    fn closed_pipe_of_the_report_is_in_the_error_chain() {
        // The file header of a pcap file without packets.
        let file = [&[0xd4, 0xc3, 0xb2, 0xa1][..], &[0; 20]].concat();
        let error = read_trace(&file[..], Path::new("x"), &mut ClosedPipe).unwrap_err();
        assert!(matches!(error, TraceError::Report(_)), "{error:?}");
        let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn unknown_file_format_is_an_error_with_the_path() {
        let error = read_trace(&b"GET /"[..], Path::new("x.pcap"), &mut ClosedPipe).unwrap_err();
        assert_eq!(error.to_string(), "x.pcap is neither a pcapng file nor a pcap file");
    }

    #[test]
    fn address_on_the_wire_is_what_a_packet_contains() {
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
