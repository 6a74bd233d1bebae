//! Reads random bytes as a capture file, dissects and explains the packets, and writes the report as text and
//! as JSON. Explains the packets twice: as those of a file, and as those of a measurement, in which the server and the
//! lengths of the messages are known. The reader must not panic, must not hang, and must not exceed the memory limit of
//! libFuzzer. The number of exchanges must not exceed the number of captured packets and bytes.
//!
//! Run it with `cargo +nightly fuzz run capture`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtt_client::report::{Json, JsonConfig, Text, TextConfig};
use rtt_client::{explain_as_measurement, read_trace};
use std::io::sink;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzz");
    // An error is a valid result.
    let _ = read_trace(bytes, path, &mut Json::new(sink(), JsonConfig::default()));
    let _ = read_trace(bytes, path, &mut Text::new(sink(), sink(), TextConfig::default()));
    let addresses = [([10, 0, 0, 1], 40_000).into(), ([10, 0, 0, 2], 12_000).into()];
    explain_as_measurement(bytes, addresses, &mut Json::new(sink(), JsonConfig::default()));
});
