//! A request in two writes, with small writes sent at once and with small writes held back (RFC 896): where
//! an acknowledgement is waited for, and where that one is delayed, it shows here.

use crate::analysis::evidence::TwoWrites;
use crate::analysis::statistics::Distribution;
use crate::engine::run::RunError;
use crate::net::system::{ReceiveConfig, WaitUntil};
use crate::net::transport::{OpenConfig, Received, Transport};
use crate::plan::Plan;
use crate::protocol::driver;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many times each is done: a stall of 40 ms each is a short wait.
const TIMES: usize = 10;

/// How long one setting may take.
const LONGEST: Duration = Duration::from_secs(3);

/// Ordinary exchanges before that: Linux acknowledges at once at the beginning of a connection
/// (`TCP_MAX_QUICKACKS`, 16 segments).
const BEFORE: usize = 20;

/// Text, and where it is cut.
const BETWEEN_WORDS: (&[u8], usize) = (b"write, write, read", 7);
/// The cut is between the two bytes of `é`.
const WITHIN_A_CHARACTER: (&[u8], usize) = ("é".as_bytes(), 1);

/// Makes the experiment. Only a server that `is_ours` gets half a character: others may die of it.
pub(super) fn experiment(
    plan: &Plan,
    address: SocketAddr,
    is_ours: bool,
    stop: &AtomicBool,
) -> Result<Vec<TwoWrites>, RunError> {
    let mut cuts = vec![(BETWEEN_WORDS, false)];
    if is_ours {
        cuts.push((WITHIN_A_CHARACTER, true));
    }
    let mut results = Vec::new();
    for ((text, cut), splits_character) in cuts {
        let mut result = TwoWrites { splits_character, ..TwoWrites::default() };
        for nagle in [false, true] {
            let times = if nagle { &mut result.with_nagle } else { &mut result.without_nagle };
            if let Err(why) = measure(plan, address, nagle, text, cut, times, stop)? {
                result.failure = Some(why);
            }
        }
        results.push(result);
    }
    Ok(results)
}

fn measure(
    plan: &Plan,
    address: SocketAddr,
    nagle: bool,
    text: &[u8],
    cut: usize,
    times: &mut Distribution,
    stop: &AtomicBool,
) -> Result<Result<(), String>, RunError> {
    let settings = &plan.settings;
    let receiver =
        ReceiveConfig { timeout: settings.timeout, spin: settings.spin, timestamps: false };
    let config = OpenConfig { bind: settings.bind, nagle, receiver };
    let mut transport = match (driver(plan.protocol).open)(address, config)?.transport {
        Ok(transport) => transport,
        Err(failure) => return Ok(Err(failure.condition.to_string())),
    };
    let begun = Instant::now();
    for time in 0..BEFORE + TIMES {
        if stop.load(Ordering::Relaxed) || begun.elapsed() >= LONGEST {
            break;
        }
        let pieces = if time < BEFORE { [text, &[]] } else { text.split_at(cut).into() };
        match once(transport.as_mut(), pieces, settings.timeout) {
            Ok(took) if time >= BEFORE => times.add(took),
            Ok(_) => {}
            Err(why) => return Ok(Err(why)),
        }
    }
    if times.count() == 0 && !stop.load(Ordering::Relaxed) {
        return Ok(Err(format!("{BEFORE} exchanges before it take too long here")));
    }
    // How it ends is nobody's figure.
    transport.close(Duration::ZERO);
    Ok(Ok(()))
}

/// Writes the pieces and reads as many bytes as they have.
fn once(
    transport: &mut dyn Transport,
    pieces: [&[u8]; 2],
    timeout: Duration,
) -> Result<Duration, String> {
    let failed = |error: std::io::Error| error.to_string();
    let (sent, _) = transport.send(pieces[0]).map_err(failed)?;
    if !pieces[1].is_empty() {
        transport.send(pieces[1]).map_err(failed)?;
    }
    let whole = pieces[0].len() + pieces[1].len();
    let deadline = sent.monotonic() + timeout;
    let mut come = 0;
    while Instant::now() < deadline {
        match transport.receive(WaitUntil::Coarse(deadline)).map_err(failed)? {
            Received::Nothing => {}
            Received::End => return Err("the server closes after the first answer".into()),
            Received::Bytes { received, bytes, .. } => {
                come += bytes.len();
                if come >= whole {
                    return Ok(received.since(&sent));
                }
            }
        }
    }
    Err(format!("{come} of {whole} bytes came in time"))
}
