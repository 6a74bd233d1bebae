//! Sends requests in two writes, with and without Nagle's algorithm.
//!
//! With Nagle's algorithm (RFC 896), the second write waits for the acknowledgement of the first one. If the
//! server's system delays this acknowledgement, the request takes tens of milliseconds longer. With `TCP_NODELAY`,
//! the kernel sends both writes immediately. The experiment shows whether acknowledgements delay a request.

use crate::analysis::evidence::TwoWrites;
use crate::analysis::statistics::Distribution;
use crate::engine::run::RunError;
use crate::net::system::WaitUntil;
use crate::net::transport::{OpenConfig, Received, Transport};
use crate::plan::Plan;
use crate::protocol::driver;
use echo_core::Stamp;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The number of measured requests for each setting. Ten delays of 40 ms take 0.4 s.
const REQUESTS: usize = 10;

/// The longest duration of one setting.
const MAX_DURATION: Duration = Duration::from_secs(3);

/// The number of undivided requests before the measured requests. At the start of a connection, Linux acknowledges the
/// first 16 segments immediately (`TCP_MAX_QUICKACKS`).
const ORDINARY_EXCHANGES: usize = 20;

/// A request, and the position at which it is divided.
struct DividedText {
    text: &'static [u8],
    position: usize,
    is_within_character: bool,
}

/// A server can reply to the first part before the second part arrives.
const BETWEEN_WORDS: DividedText =
    DividedText { text: b"write, write, read", position: 7, is_within_character: false };

/// The position is between the two bytes of `é`. The server cannot reply to half a character.
const WITHIN_CHARACTER: DividedText =
    DividedText { text: "é".as_bytes(), position: 1, is_within_character: true };

/// The kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// A server of this project. It accepts a character in two parts.
    Ours,
    /// Any other server. The textbook's server crashes if it receives half a character, so the client does not send it.
    ThirdParty,
}

/// Runs the experiment.
pub(super) fn experiment(
    plan: &Plan,
    address: SocketAddr,
    server: Server,
    stop: &AtomicBool,
) -> Result<Vec<TwoWrites>, RunError> {
    let texts = match server {
        Server::Ours => &[BETWEEN_WORDS, WITHIN_CHARACTER][..],
        Server::ThirdParty => &[BETWEEN_WORDS][..],
    };
    let mut results = Vec::new();
    for text in texts {
        let mut result =
            TwoWrites { splits_character: text.is_within_character, ..TwoWrites::default() };
        for nagle in [false, true] {
            let times = if nagle { &mut result.with_nagle } else { &mut result.without_nagle };
            let setting = Setting { plan, address, nagle, text };
            if let Ended::Early { reason } = setting.measure(times, stop)? {
                result.failure = Some(reason);
            }
        }
        results.push(result);
    }
    Ok(results)
}

/// How a measurement ended.
enum Ended {
    Completed,
    Early { reason: String },
}

/// One setting of the experiment.
struct Setting<'a> {
    plan: &'a Plan,
    address: SocketAddr,
    /// Whether Nagle's algorithm is on.
    nagle: bool,
    text: &'a DividedText,
}

impl Setting<'_> {
    /// Measures requests in two writes on a new connection, and adds their durations to `times`.
    fn measure(&self, times: &mut Distribution, stop: &AtomicBool) -> Result<Ended, RunError> {
        let settings = &self.plan.settings;
        let config = OpenConfig { nagle: self.nagle, ..OpenConfig::new(settings) };
        let config = config.without_timestamps().with_any_local_port();
        let opened = (driver(self.plan.protocol).open)(self.address, config)?;
        let mut transport = match opened.transport {
            Ok(transport) => transport,
            Err(failure) => return Ok(Ended::Early { reason: failure.condition.to_string() }),
        };
        let start = Instant::now();
        for number in 0..ORDINARY_EXCHANGES + REQUESTS {
            if stop.load(Ordering::Relaxed) || start.elapsed() >= MAX_DURATION {
                break;
            }
            let is_measured = number >= ORDINARY_EXCHANGES;
            let DividedText { text, position, .. } = *self.text;
            let (first, second) = text.split_at(position);
            let writes = if is_measured { &[first, second][..] } else { &[text][..] };
            match exchange(transport.as_mut(), writes, settings.timeout) {
                Ok(duration) if is_measured => times.add(duration),
                Ok(_) => {}
                Err(reason) => return Ok(Ended::Early { reason }),
            }
        }
        if times.count() == 0 && !stop.load(Ordering::Relaxed) {
            let reason = format!(
                "the first {ORDINARY_EXCHANGES} requests, each in one write, took too long"
            );
            return Ok(Ended::Early { reason });
        }
        // The duration of the close is not measured.
        transport.close(Duration::ZERO);
        Ok(Ended::Completed)
    }
}

/// Sends one request in one or more writes, and reads a reply of the same length. Returns the time from the first
/// write to the last byte of the reply. If the reply is incomplete, returns the reason.
fn exchange(
    transport: &mut dyn Transport,
    writes: &[&[u8]],
    timeout: Duration,
) -> Result<Duration, String> {
    let reason = |error: io::Error| error.to_string();
    let start = Stamp::just_before();
    for write in writes {
        transport.send(write).map_err(reason)?;
    }
    let expected = writes.iter().map(|write| write.len()).sum();
    let deadline = start.monotonic() + timeout;
    let mut received_bytes = 0;
    while Instant::now() < deadline {
        match transport.receive(WaitUntil::Coarse(deadline)).map_err(reason)? {
            Received::Nothing | Received::Stray => {}
            Received::End => return Err("the server closed the connection".into()),
            Received::Bytes { received, bytes, .. } => {
                received_bytes += bytes.len();
                if received_bytes >= expected {
                    return Ok(received.since(&start));
                }
            }
        }
    }
    Err(format!("{received_bytes} of {expected} bytes arrived within the timeout"))
}
