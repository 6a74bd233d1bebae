//! Runs exchanges with one address, and captures their packets at the same time.

use super::{TraceError, link_type_of};
use crate::capture::file::{CapturedPacket, LinkType, MAX_PACKETS, MAX_TOTAL_BYTES};
use crate::capture::trace::Sample;
use crate::engine::pause_until;
use crate::engine::run::{RunError, prepare_thread};
use crate::engine::series::{RunPosition, Series};
use crate::engine::trial::RecordedEvents;
use crate::model::headers::ETHERNET_HEADER;
use crate::net::system::operation::{CaptureOperation, FailedOperation, failed};
use crate::net::system::{self, Capture, CaptureConfig, CapturedFrame, Interface};
use crate::plan::Plan;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The capture continues for this time after the last exchange. In this time, connections close, and late ICMP
/// errors arrive.
const CAPTURE_AFTER_END: Duration = Duration::from_millis(50);

/// The interval at which the capturing thread checks whether the exchanges are over.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The maximum time for reading the remaining packets after the end of the exchanges. Without a limit, a peer
/// that never stops sending could prevent the end of the capture.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(1);

/// The interval at which the capturing thread reads the kernel's count of packets. The count has 32 bits. It cannot
/// overflow in this time, because no interface receives billions of packets per second.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// The number of exchanges, and their interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordConfig {
    /// The number of exchanges.
    pub(super) count: u64,
    /// The index of the interface in the trace, for [`CapturedPacket::interface`].
    pub(super) interface: usize,
    /// Whether the trace has already recorded exchanges with another target.
    pub(super) position: RunPosition,
}

/// The packets and the measurements of the exchanges with one address.
pub(super) struct Recording {
    pub(super) packets: Vec<CapturedPacket>,
    /// The number of packets that the capture lost or did not store. `None` if the number is not known.
    pub(super) dropped: Option<u64>,
    /// Whether the capture reached [`MAX_PACKETS`] or [`MAX_TOTAL_BYTES`].
    pub(super) limit_reached: bool,
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
    let capture_error =
        |failed| TraceError::capture(failed, plan.protocol.display_address(address));
    let interface = system::interface_to(address)
        .map_err(failed(CaptureOperation::FindInterface))
        .map_err(capture_error)?;
    let ip_numbers =
        plan.protocol.ip_numbers.expect("the plan checks that the protocol can be captured");
    let capture = Capture::start(&CaptureConfig {
        interface: interface.index,
        is_loopback: interface.is_loopback,
        link_header: if interface.is_ethernet { ETHERNET_HEADER } else { 0 },
        ip_protocol: ip_numbers.for_ip(address.ip()),
        peer: address.ip(),
        port: plan.protocol.has_ports().then_some(address.port()),
    })
    .map_err(capture_error)?;
    let capture = CaptureThread {
        source: capture,
        limits: Limits { packets: MAX_PACKETS, bytes: MAX_TOTAL_BYTES },
        link_type: link_type_of(&interface),
        interface: config.interface,
        packets: Vec::new(),
        bytes: 0,
        received: Some(0),
    };
    let is_over = AtomicBool::new(false);
    let (exchanges, captured) = thread::scope(|scope| {
        let capturing = thread::Builder::new()
            .spawn_scoped(scope, || capture.run(&is_over))
            .map_err(RunError::StartThread)?;
        let end_of_capture = SetOnDrop(&is_over);
        let exchanges = run_exchanges(plan, address, config, stop);
        thread::sleep(CAPTURE_AFTER_END);
        drop(end_of_capture);
        Ok::<_, RunError>((exchanges, capturing.join()))
    })?;
    let captured = captured.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let Exchanges { samples, clients } = exchanges?;
    let CapturedPackets { packets, dropped, limit_reached } = captured.map_err(capture_error)?;
    Ok(Recording { packets, dropped, limit_reached, samples, clients, interface })
}

/// Sets the flag on drop. So the capturing thread also ends if the exchanges panic.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The source of the packets.
trait PacketSource {
    /// See [`Capture::next`].
    fn next(&mut self, timeout: Duration) -> io::Result<Option<CapturedFrame>>;

    /// See [`Capture::received`].
    fn received(&mut self) -> Option<u64>;
}

impl PacketSource for Capture {
    fn next(&mut self, timeout: Duration) -> io::Result<Option<CapturedFrame>> {
        Capture::next(self, timeout)
    }

    fn received(&mut self) -> Option<u64> {
        Capture::received(self)
    }
}

/// The capture ends when it has reached one of these numbers.
#[derive(Debug, Clone, Copy)]
struct Limits {
    packets: usize,
    bytes: usize,
}

/// The state of the capturing thread.
struct CaptureThread<S> {
    source: S,
    limits: Limits,
    link_type: LinkType,
    interface: usize,
    packets: Vec<CapturedPacket>,
    /// The number of bytes in `packets`.
    bytes: usize,
    /// The number of packets that passed the filter, as far as the kernel's count was read. `None` if the number is not
    /// known.
    received: Option<u64>,
}

/// The result of the capturing thread.
struct CapturedPackets {
    packets: Vec<CapturedPacket>,
    dropped: Option<u64>,
    limit_reached: bool,
}

impl<S: PacketSource> CaptureThread<S> {
    /// Captures until `is_over` is set. Then reads the remaining packets, for at most [`MAX_DRAIN_TIME`].
    ///
    /// After the limit, the thread reads no more packets. They stay in the receive buffer, which has a fixed size. The
    /// kernel counts them anyway. So a flood of packets costs no memory, and no time of this program.
    fn run(
        mut self,
        is_over: &AtomicBool,
    ) -> Result<CapturedPackets, FailedOperation<CaptureOperation>> {
        let mut counted = Instant::now();
        while !is_over.load(Ordering::Relaxed) {
            if self.is_full() {
                thread::sleep(CHECK_INTERVAL);
            } else {
                self.capture_next(CHECK_INTERVAL)?;
            }
            if counted.elapsed() >= COUNT_INTERVAL {
                self.count();
                counted = Instant::now();
            }
        }
        self.count();
        // Packets that arrive from now on are not counted, so the thread does not read them.
        let start = Instant::now();
        while !self.is_full()
            && self.received.is_none_or(|received| (self.packets.len() as u64) < received)
            && start.elapsed() < MAX_DRAIN_TIME
            && self.capture_next(Duration::ZERO)?
        {}
        let dropped = self.received.map(|count| count.saturating_sub(self.packets.len() as u64));
        let limit_reached = self.is_full();
        Ok(CapturedPackets { packets: self.packets, dropped, limit_reached })
    }

    /// Adds the kernel's count of packets since the last call.
    fn count(&mut self) {
        let new = self.source.received();
        self.received = self.received.zip(new).map(|(sum, new)| sum.saturating_add(new));
    }

    fn is_full(&self) -> bool {
        self.packets.len() >= self.limits.packets || self.bytes >= self.limits.bytes
    }

    /// Waits for a packet and stores it. Returns whether a packet arrived within `timeout`.
    fn capture_next(
        &mut self,
        timeout: Duration,
    ) -> Result<bool, FailedOperation<CaptureOperation>> {
        let frame = self.source.next(timeout).map_err(failed(CaptureOperation::Receive))?;
        let Some(frame) = frame else { return Ok(false) };
        self.bytes += frame.bytes.len();
        self.packets.push(CapturedPacket {
            time: frame.time,
            original_length: frame.original_len,
            bytes: frame.bytes,
            link_type: self.link_type,
            interface: self.interface,
        });
        Ok(true)
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
    config: RecordConfig,
    stop: &AtomicBool,
) -> Result<Exchanges, RunError> {
    // A new thread inherits the CPU affinity of the thread that starts it. The capturing thread has already
    // started. So it can use all CPUs, even if this call pins the current thread to one CPU.
    prepare_thread(&plan.settings)?;
    let mut recorded = RecordedEvents::default();
    let mut samples = Vec::new();
    let mut clients = Vec::new();
    let mut series = Series::open(plan, address, config.position, stop)?;
    for index in 0..config.count {
        if index > 0 {
            pause_until(Instant::now() + plan.settings.interval, stop);
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        series.once(&mut recorded, stop)?;
        clients.extend(series.take_local_addresses());
        if let Some(exchange) = recorded.exchanges.pop() {
            // If the series opened several connections, it sent the request on the last one.
            let client = exchange.sent.and_then(|_| clients.last().copied());
            samples.push(Sample::of(exchange, client));
        }
    }
    series.end(&mut recorded, stop)?;
    Ok(Exchanges { samples, clients })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET_LEN: usize = 100;

    /// Ten packets of [`PACKET_LEN`] bytes. The exchanges are over when the thread reads the packet with this number.
    struct TenPackets<'a> {
        read: usize,
        counted: bool,
        last: usize,
        is_over: &'a AtomicBool,
    }

    impl PacketSource for TenPackets<'_> {
        fn next(&mut self, _: Duration) -> io::Result<Option<CapturedFrame>> {
            self.read += 1;
            if self.read == self.last {
                self.is_over.store(true, Ordering::Relaxed);
            }
            let bytes = vec![0; PACKET_LEN];
            let frame = CapturedFrame { time: Duration::ZERO, original_len: PACKET_LEN, bytes };
            Ok((self.read <= 10).then_some(frame))
        }

        fn received(&mut self) -> Option<u64> {
            Some(if std::mem::replace(&mut self.counted, true) { 0 } else { 10 })
        }
    }

    /// Captures with these limits. Returns the number of stored packets, the number of dropped packets, and whether a limit
    /// was reached.
    fn run(packets: usize, bytes: usize, last: usize) -> (usize, Option<u64>, bool) {
        let is_over = AtomicBool::new(false);
        let capture = CaptureThread {
            source: TenPackets { read: 0, counted: false, last, is_over: &is_over },
            limits: Limits { packets, bytes },
            link_type: LinkType::Raw,
            interface: 0,
            packets: Vec::new(),
            bytes: 0,
            received: Some(0),
        };
        let CapturedPackets { packets, dropped, limit_reached } = capture.run(&is_over).unwrap();
        (packets.len(), dropped, limit_reached)
    }

    #[test]
    fn flood_of_packets_stops_the_capture_at_its_limit() {
        // The exchanges end when the limit is reached, or before.
        for last in [1, 4] {
            assert_eq!(run(4, usize::MAX, last), (4, Some(6), true));
            assert_eq!(run(usize::MAX, 4 * PACKET_LEN, last), (4, Some(6), true));
            assert_eq!(run(usize::MAX, 4 * PACKET_LEN - 1, last), (4, Some(6), true));
            assert_eq!(run(11, usize::MAX, last), (10, Some(0), false));
        }
    }
}
