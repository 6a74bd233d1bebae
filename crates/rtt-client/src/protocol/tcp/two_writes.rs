//! Sends requests in two writes, with and without Nagle's algorithm.
//!
//! With Nagle's algorithm (RFC 896), the second write waits for the acknowledgement of the first one. If the
//! server's system delays this acknowledgement, the request takes tens of milliseconds longer. With `TCP_NODELAY`,
//! the kernel sends both writes immediately. The experiment shows whether acknowledgements delay a request.

use super::explain::two_writes::{self, Division};
use super::transport::{Nagle, open_with};
use crate::analysis::evidence::Measurement;
use crate::net::driver::{Experiment, ExperimentContext};
use crate::net::system::WaitUntil;
use crate::net::transport::{OpenConfig, Received, SocketError, Transport};
use crate::plan::payload::{EchoPayload, ExtraBytes, HeaderContent, Numbering, ReplyCheck};
use bytes::BytesMut;
use echo_core::Stamp;
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Requests in two writes, with and without Nagle's algorithm.
pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "requests in two writes",
    is_independent_of_target: false,
    needs_echo_server: true,
    run,
};

/// The number of measured requests for each setting. Ten delays of 40 ms take 0.4 s.
const REQUESTS: usize = 10;

/// The longest duration of one setting.
const MAX_DURATION: Duration = Duration::from_secs(3);

/// The number of undivided requests before the measured requests. At the start of a connection, Linux acknowledges the
/// first 16 segments immediately (`TCP_MAX_QUICKACKS`).
const ORDINARY_EXCHANGES: usize = 20;

/// The text of a request, and the position at which it is divided. The number and the token of the request precede the
/// text.
struct DividedText {
    text: &'static [u8],
    position: usize,
    division: Division,
}

const BETWEEN_WORDS: DividedText =
    DividedText { text: b"write, write, read", position: 7, division: two_writes::BETWEEN_WORDS };

/// The position is between the two bytes of `é`.
const WITHIN_CHARACTER: DividedText =
    DividedText { text: "é".as_bytes(), position: 1, division: two_writes::WITHIN_CHARACTER };

fn run(context: &ExperimentContext<'_>) -> Result<Vec<Measurement>, SocketError> {
    // A server of this project accepts a character in two parts. The textbook's server crashes if it receives half
    // a character, so the client does not send it to any other server.
    let texts = if context.has_timing_header {
        &[BETWEEN_WORDS, WITHIN_CHARACTER][..]
    } else {
        &[BETWEEN_WORDS][..]
    };
    let mut measurements = Vec::new();
    for text in texts {
        let Division { without_nagle, with_nagle, .. } = text.division;
        for (nagle, name) in [(Nagle::Off, without_nagle), (Nagle::On, with_nagle)] {
            let mut measurement = Measurement { name, ..Measurement::default() };
            measure(&mut measurement, text, nagle, context)?;
            measurements.push(measurement);
        }
    }
    Ok(measurements)
}

/// Measures requests in two writes on a new connection, and stores the result in `measurement`.
fn measure(
    measurement: &mut Measurement,
    text: &DividedText,
    nagle: Nagle,
    context: &ExperimentContext<'_>,
) -> Result<(), SocketError> {
    let settings = context.plan.settings();
    let is_stopped = || context.stop.load(Ordering::Relaxed);
    let config = OpenConfig::new(settings).without_timestamps().with_any_local_port();
    let config = config.interrupted_by(context.stop);
    let mut transport = match open_with(context.address, config, nagle)?.transport {
        Ok(transport) => transport,
        Err(failure) => {
            measurement.failure = Some(failure.condition.to_string());
            return Ok(());
        }
    };
    let Some(form) = context.plan.payload.echo().map(EchoPayload::form) else { return Ok(()) };
    let max_len = context.plan.protocol().max_message_len;
    let (numbered, no_header) = (Numbering::Numbered, HeaderContent::Nothing);
    let mut payload = EchoPayload::of_text(text.text, numbered, no_header, form, max_len);
    let position = payload.text_offset() + text.position;
    let start = Instant::now();
    for number in 0..ORDINARY_EXCHANGES + REQUESTS {
        if is_stopped() || start.elapsed() >= MAX_DURATION {
            break;
        }
        let is_measured = number >= ORDINARY_EXCHANGES;
        let number = number as u64;
        let request = payload.request(number).to_vec();
        let (first, second) = request.split_at(position);
        let writes = if is_measured { &[first, second][..] } else { &[&request[..]][..] };
        match exchange(transport.as_mut(), number, writes, &mut payload, context) {
            Ok(duration) if is_measured => measurement.durations.add(duration),
            Ok(_) => {}
            Err(reason) => {
                measurement.failure = Some(reason);
                return Ok(());
            }
        }
    }
    if measurement.durations.count() == 0 && !is_stopped() {
        measurement.failure = Some(format!(
            "the first {ORDINARY_EXCHANGES} requests, each in one write, took too long"
        ));
        return Ok(());
    }
    // The duration of the close is not measured.
    transport.close(Duration::ZERO, context.stop);
    Ok(())
}

/// Sends one request in one or more writes, and reads the reply. Returns the time from the first write to the last byte
/// of the reply. If there is no correct reply, returns the reason.
fn exchange(
    transport: &mut dyn Transport,
    number: u64,
    writes: &[&[u8]],
    payload: &mut EchoPayload,
    context: &ExperimentContext<'_>,
) -> Result<Duration, String> {
    let reason = |error: io::Error| error.to_string();
    let start = Stamp::just_before();
    for write in writes {
        transport.send(number, write, context.stop).map_err(reason)?;
    }
    let deadline = start.monotonic() + context.plan.settings().timeout;
    let mut reply = BytesMut::new();
    while Instant::now() < deadline && !context.stop.load(Ordering::Relaxed) {
        match transport.receive(WaitUntil::Coarse(deadline)).map_err(reason)? {
            Received::Nothing | Received::Stray | Received::Established { .. } => {}
            Received::Failed { failure, .. } => return Err(failure.condition.to_string()),
            Received::End => return Err("the server closed the connection".into()),
            Received::Bytes { received, bytes, .. } => {
                reply.extend_from_slice(bytes);
                match payload.check(number, &reply, 0, ExtraBytes::Wrong) {
                    ReplyCheck::Complete { .. } => return Ok(received.since(&start)),
                    ReplyCheck::Incomplete => {}
                    ReplyCheck::Wrong(mismatch) => return Err(mismatch.to_string()),
                }
            }
        }
    }
    let (received, expected) = (reply.len(), payload.reply_len());
    Err(format!("{received} of {expected} bytes arrived within the timeout"))
}
