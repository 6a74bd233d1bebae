//! Captures the packets of exchanges with one address, while the exchanges run.

use super::{TraceError, link_type_of};
use crate::capture::file::{CapturedPacket, LinkType, MAX_PACKETS, MAX_TOTAL_BYTES};
use crate::capture::trace::Sample;
use crate::engine::run::{RecordedEvents, RunError, prepare_thread};
use crate::engine::series::Series;
use crate::net::system::{self, Capture, CaptureConfig, Interface};
use crate::plan::Plan;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long the capture continues after the last exchange: for the close of connections and for ICMP
/// errors.
const CAPTURE_AFTER_END: Duration = Duration::from_millis(50);

/// The interval at which the capturing thread checks whether the exchanges are over.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The maximum duration of a capture.
const MAX_CAPTURE_TIME: Duration = Duration::from_hours(1);

/// The length of an Ethernet header, in bytes.
const ETHERNET_HEADER: u8 = 14;

/// What to record.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordConfig {
    /// The number of exchanges.
    pub(super) count: u64,
    /// The index of the interface in the trace, for [`CapturedPacket::interface`].
    pub(super) interface: usize,
}

/// The packets and the measurements of the exchanges with one address.
pub(super) struct Recording {
    pub(super) packets: Vec<CapturedPacket>,
    /// The number of packets that were not stored. `None` if it is not known.
    pub(super) dropped: Option<u64>,
    pub(super) samples: Vec<Sample>,
    /// The local addresses of the exchanges.
    pub(super) clients: Vec<SocketAddr>,
    pub(super) interface: Interface,
}

/// Runs the exchanges on this thread, and captures on a second thread.
pub(super) fn record(
    plan: &Plan,
    address: SocketAddr,
    config: RecordConfig,
    stop: &AtomicBool,
) -> Result<Recording, TraceError> {
    let failed = |operation, source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied => TraceError::NotPermitted { address, source },
        _ => TraceError::Capture { operation, address, source },
    };
    let interface = system::interface_to(address)
        .map_err(|source| failed("finding the interface to", source))?;
    let capture = Capture::start(&CaptureConfig {
        interface: interface.index,
        is_loopback: interface.is_loopback,
        link_header: if interface.is_ethernet { ETHERNET_HEADER } else { 0 },
        protocol: plan.protocol.ip_number,
        peer: address,
    })
    .map_err(|source| failed("starting to capture the packets to", source))?;
    let capture = CaptureThread {
        capture,
        link_type: link_type_of(&interface),
        interface: config.interface,
        packets: Vec::new(),
        bytes: 0,
        beyond_limit: 0,
    };
    let is_over = AtomicBool::new(false);
    let (exchanges, captured) = thread::scope(|scope| {
        let capturing = scope.spawn(|| capture.run(&is_over));
        let exchanges = run_exchanges(plan, address, config.count, stop);
        thread::sleep(CAPTURE_AFTER_END);
        is_over.store(true, Ordering::Relaxed);
        (exchanges, capturing.join())
    });
    let captured = captured.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let Exchanges { samples, clients } = exchanges?;
    let CapturedPackets { packets, dropped } = captured.map_err(|source| TraceError::Capture {
        operation: "capturing the packets to",
        address,
        source,
    })?;
    Ok(Recording { packets, dropped, samples, clients, interface })
}

/// The state of the capturing thread.
struct CaptureThread {
    capture: Capture,
    link_type: LinkType,
    interface: usize,
    packets: Vec<CapturedPacket>,
    /// The bytes of `packets`.
    bytes: usize,
    /// The number of packets beyond the limits of a capture file.
    beyond_limit: u64,
}

/// The result of the capturing thread.
struct CapturedPackets {
    packets: Vec<CapturedPacket>,
    dropped: Option<u64>,
}

impl CaptureThread {
    /// Captures until `is_over` is set and no packet is left.
    fn run(mut self, is_over: &AtomicBool) -> io::Result<CapturedPackets> {
        let start = Instant::now();
        loop {
            let is_over = is_over.load(Ordering::Relaxed) || start.elapsed() > MAX_CAPTURE_TIME;
            let timeout = if is_over { Duration::ZERO } else { CHECK_INTERVAL };
            let Some(frame) = self.capture.next(timeout)? else {
                if is_over {
                    break;
                }
                continue;
            };
            if self.packets.len() >= MAX_PACKETS || self.bytes >= MAX_TOTAL_BYTES {
                self.beyond_limit += 1;
                continue;
            }
            self.bytes += frame.bytes.len();
            self.packets.push(CapturedPacket {
                time: frame.time,
                original_length: frame.original_len,
                bytes: frame.bytes,
                link_type: self.link_type,
                interface: self.interface,
            });
        }
        let dropped = self.capture.dropped().map(|dropped| dropped + self.beyond_limit);
        Ok(CapturedPackets { packets: self.packets, dropped })
    }
}

/// The measurements of the exchanges.
struct Exchanges {
    samples: Vec<Sample>,
    clients: Vec<SocketAddr>,
}

fn run_exchanges(
    plan: &Plan,
    address: SocketAddr,
    count: u64,
    stop: &AtomicBool,
) -> Result<Exchanges, RunError> {
    // The thread that captures must not inherit the CPU that this thread is pinned to. Therefore this
    // comes after the start of that thread.
    prepare_thread(&plan.settings)?;
    let mut recorded = RecordedEvents::default();
    let mut samples = Vec::new();
    let mut clients = Vec::new();
    let mut series = Series::open(plan, address)?;
    for index in 0..count {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if index > 0 {
            thread::sleep(plan.settings.interval);
        }
        series.once(&mut recorded, stop)?;
        clients.extend(series.take_local_addresses());
        if let Some(exchange) = recorded.exchanges.pop() {
            // If the series opened several connections, the request went out on the last one.
            let client = exchange.sent.and_then(|_| clients.last().copied());
            samples.push(Sample::of(exchange, client));
        }
    }
    series.end(&mut recorded, stop)?;
    Ok(Exchanges { samples, clients })
}
