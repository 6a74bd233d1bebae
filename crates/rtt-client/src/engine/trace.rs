//! Tracing: exchanges while their packets are captured, or a capture of somebody else's; both explained, and
//! one's own joined to what the application saw.

use super::run::{RecordedEvents, RunError, prepare_thread, resolve_target, select_address};
use super::series::Series;
use crate::capture::dissect::{Packet, dissect};
use crate::capture::file;
use crate::capture::file::{CapturedPacket, FileError, LinkType, MAX_BYTES, MAX_PACKETS, Writer};
use crate::capture::flows::{Explained, explain};
use crate::capture::trace::{Sample, Trace, TracedTarget};
use crate::event::{Event, Report};
use crate::model::condition::Failure;
use crate::net::system::{self, Capture, CaptureConfig, Interface};
use crate::plan::Plan;
use crate::plan::TracePlan;
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long after the last exchange packets are waited for: the ends of connections, and ICMP errors.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// How long the capturing thread waits before it looks whether it is to end.
const PAUSE: Duration = Duration::from_millis(10);

/// The longest that a capture goes on, whatever is traced.
const LONGEST: Duration = Duration::from_hours(1);

/// How long Ethernet's header is, in bytes.
const ETHERNET: u8 = 14;

/// Why nothing could be traced.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The exchanges could not be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The system does not permit capturing.
    #[error(
        "capturing takes the capability CAP_NET_RAW: `sudo setcap cap_net_raw+ep PATH-OF-rtt-client` \
         grants it, and --lab does without ({0})"
    )]
    NotPermitted(io::Error),
    /// The system can't capture.
    #[error("capturing the packets to {0}: {1}")]
    Capture(SocketAddr, io::Error),
    /// There is no lab to be had.
    #[error("making a network of one's own: {0}")]
    Lab(io::Error),
    /// A file can't be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

impl From<crate::net::transport::SocketError> for TraceError {
    fn from(error: crate::net::transport::SocketError) -> Self {
        Self::Run(error.into())
    }
}

impl From<io::Error> for TraceError {
    fn from(error: io::Error) -> Self {
        Self::Run(error.into())
    }
}

/// Moves this process into a user-and-network namespace of its own, where it may capture (Linux). It has to be
/// done before there are threads.
///
/// # Errors
///
/// [`TraceError::Lab`].
pub fn enter_lab() -> Result<(), TraceError> {
    system::enter_lab().map_err(TraceError::Lab)
}

/// Makes the exchanges of `tracing` while capturing, writes the packets to `file`, if there is one to be, and
/// tells `report`. Returns whether every exchange was answered.
///
/// # Errors
///
/// [`TraceError`]; a server that is not there is none, and its absence is traced.
pub fn trace(
    tracing: &TracePlan,
    file: Option<&Path>,
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<bool, TraceError> {
    let failed = |path: &Path, error: io::Error| TraceError::File {
        path: path.to_owned(),
        why: format!("writing it: {error}"),
    };
    // What can't be written is said before anything is sent.
    let out =
        file.map(|path| File::create(path).map_err(|error| failed(path, error))).transpose()?;
    let mut trace = Trace::default();
    let mut captured: Vec<CapturedPacket> = Vec::new();
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut all_answered = true;
    for plan in &tracing.plans {
        let addresses = match resolve_target(plan) {
            Ok(addresses) => addresses,
            Err(failure) => {
                all_answered = false;
                trace.targets.push(TracedTarget::unresolved(plan, failure));
                continue;
            }
        };
        let address = on_the_wire(select_address(plan, &addresses, stop)?.address);
        let one = one(plan, address, tracing.count, interfaces.len(), stop)?;
        all_answered &= one.samples.iter().all(|sample| sample.rtt.is_some())
            && one.samples.len() as u64 == tracing.count;
        let before = captured.len();
        let lengths = (plan.payload.request_len() as u64, plan.payload.reply_len() as u64);
        let packets: Vec<_> = one.captured.iter().map(dissect).collect();
        let mut explained = explain_all(&packets, before, Some(lengths));
        explained.only_of(&one.clients);
        trace.dropped = trace.dropped.zip(one.lost).map(|(before, lost)| before + lost);
        let part = TracedTarget {
            target: plan.url(),
            interface: Some(one.interface.name.clone()),
            samples: one.samples,
            ..TracedTarget::new(plan.protocol)
        }
        .with_flows(explained.flows);
        trace.targets.push(part);
        captured.extend(one.captured);
        interfaces.push(one.interface);
    }
    if let (Some(path), Some(out)) = (file, out) {
        write(out, &interfaces, &captured, &trace).map_err(|error| failed(path, error))?;
        trace.file = Some(path.display().to_string());
    }
    report.event(&Event::Trace(&trace))?;
    report.flush()?;
    Ok(all_answered && !tracing.plans.is_empty())
}

/// Explains the packets of a capture file, pcapng or pcap, whose name is told in errors.
///
/// # Errors
///
/// [`TraceError::File`]; a file that breaks off is read as far as it goes.
pub fn read_trace(file: impl Read, name: &Path, report: &mut dyn Report) -> Result<(), TraceError> {
    let failed =
        |error: FileError| TraceError::File { path: name.to_owned(), why: error.to_string() };
    let contents = file::read(file).map_err(failed)?;
    let packets: Vec<_> = contents.packets.iter().map(dissect).collect();
    let explained = explain_all(&packets, 0, None);
    let mut trace = Trace {
        dropped: contents.lost,
        skipped: explained.others,
        without_time: contents.untimed,
        unreadable: cut_short(&contents.packets, &packets),
        incomplete: contents.broken,
        packets: contents.packets.len(),
        ..Trace::default()
    };
    trace.targets = TracedTarget::by_protocol(explained.flows);
    report.event(&Event::Trace(&trace))?;
    Ok(report.flush()?)
}

/// How many packets are of a link that is not known here, or were cut before their headers ended.
fn cut_short(captured: &[CapturedPacket], packets: &[Option<Packet>]) -> usize {
    let is_short = |(captured, packet): &(&CapturedPacket, &Option<Packet>)| {
        let is_cut = captured.bytes.len() < captured.original;
        packet.is_none() && (is_cut || matches!(captured.link, LinkType::Other(_)))
    };
    captured.iter().zip(packets).filter(is_short).count()
}

/// Numbers go on behind `before` others.
fn explain_all(
    packets: &[Option<Packet>],
    before: usize,
    lengths: Option<(u64, u64)>,
) -> Explained {
    let numbered = packets.iter().enumerate();
    explain(numbered.map(|(place, packet)| (before + place + 1, packet.as_ref())), lengths)
}

/// What exchanges with one address have come to.
struct OneTrace {
    captured: Vec<CapturedPacket>,
    lost: Option<u64>,
    samples: Vec<Sample>,
    clients: Vec<SocketAddr>,
    interface: Interface,
}

fn one(
    plan: &Plan,
    address: SocketAddr,
    count: u64,
    which: usize,
    stop: &AtomicBool,
) -> Result<OneTrace, TraceError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => TraceError::NotPermitted(error),
        _ => TraceError::Capture(address, error),
    };
    let interface = system::interface_to(address).map_err(failed)?;
    let config = CaptureConfig {
        interface: interface.index,
        is_loopback: interface.is_loopback,
        link_header: if interface.is_ethernet { ETHERNET } else { 0 },
        protocol: plan.protocol.ip_number,
        peer: address,
    };
    let capture = Capture::start(&config).map_err(failed)?;
    let link = link_of(&interface);
    let over = AtomicBool::new(false);
    let (made, packets) = thread::scope(|scope| {
        let capturing = scope.spawn(|| capture_until(&over, capture, (link, which)));
        let made = exchanges(plan, address, count, stop);
        thread::sleep(AFTERWARDS);
        over.store(true, Ordering::Relaxed);
        (made, capturing.join())
    });
    let (samples, clients) = made?;
    let packets = packets.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let (captured, lost) = packets.map_err(|error| TraceError::Capture(address, error))?;
    Ok(OneTrace { captured, lost, samples, clients, interface })
}

/// Captures until it is over, and then what is left. The second figure is how many packets were lost.
fn capture_until(
    over: &AtomicBool,
    mut capture: Capture,
    (link, interface): (LinkType, usize),
) -> io::Result<(Vec<CapturedPacket>, Option<u64>)> {
    let begun = Instant::now();
    let (mut packets, mut bytes, mut left_out) = (Vec::new(), 0, 0_u64);
    loop {
        let is_over = over.load(Ordering::Relaxed) || begun.elapsed() > LONGEST;
        let patience = if is_over { Duration::ZERO } else { PAUSE };
        match capture.next(patience)? {
            Some(frame) if packets.len() < MAX_PACKETS && bytes < MAX_BYTES => {
                bytes += frame.bytes.len();
                let (time, original, bytes) = (frame.time, frame.original_len, frame.bytes);
                packets.push(CapturedPacket { time, original, bytes, link, interface });
            }
            Some(_) => left_out += 1,
            None if is_over => break,
            None => {}
        }
    }
    Ok((packets, capture.dropped().map(|lost| lost + left_out)))
}

/// Makes the exchanges; what the application saw of them, and from which addresses they were made.
fn exchanges(
    plan: &Plan,
    address: SocketAddr,
    count: u64,
    stop: &AtomicBool,
) -> Result<(Vec<Sample>, Vec<SocketAddr>), RunError> {
    // Here, and not before there is the thread that captures: it would stay on that CPU as well.
    prepare_thread(&plan.settings)?;
    let mut held = RecordedEvents::default();
    let mut samples = Vec::new();
    let mut clients = Vec::new();
    let mut series = Series::open(plan, address)?;
    for made in 0..count {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if made > 0 {
            thread::sleep(plan.settings.interval);
        }
        series.once(&mut held, stop)?;
        clients.extend(series.take_local_addresses());
        if let Some(exchange) = held.exchanges.pop() {
            // Of several connections the last is the one that it came out on.
            let client = exchange.sent.and_then(|_| clients.last().copied());
            samples.push(Sample::of(exchange, client));
        }
    }
    series.end(&mut held, stop)?;
    Ok((samples, clients))
}

/// Writes the packets with what each of them is.
fn write(
    out: File,
    interfaces: &[Interface],
    captured: &[CapturedPacket],
    trace: &Trace,
) -> io::Result<()> {
    let application = concat!("rtt-client ", env!("CARGO_PKG_VERSION"));
    let mut writer = Writer::new(BufWriter::new(out), application)?;
    for interface in interfaces {
        let description = format!("UDP and TCP exchanges on {}", interface.name);
        writer.interface(link_of(interface), &interface.name, &description)?;
    }
    let comments = trace.comments();
    for (place, packet) in captured.iter().enumerate() {
        let comment = comments.get(&(place + 1)).map_or("of no exchange of ours", |told| told);
        writer.packet(packet, comment)?;
    }
    let last = captured.last().map_or(Duration::ZERO, |packet| packet.time);
    writer.end(trace.dropped, last)
}

fn link_of(interface: &Interface) -> LinkType {
    if interface.is_ethernet { LinkType::Ethernet } else { LinkType::Raw }
}

/// The address that packets really go to: what is unspecified means this host, and an address of IPv4 in one of
/// IPv6 is one of IPv4.
fn on_the_wire(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        IpAddr::V4(ip) => (ip, address.port()).into(),
        IpAddr::V6(_) => address,
    }
}

impl TracedTarget {
    fn unresolved(plan: &Plan, failure: Failure) -> Self {
        Self {
            target: plan.url(),
            samples: vec![Sample { failure: Some(failure), ..Sample::default() }],
            ..Self::new(plan.protocol)
        }
    }
}
