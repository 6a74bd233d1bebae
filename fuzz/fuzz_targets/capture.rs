//! Reads any bytes as a capture file, and reports the result as text and as JSON. The client must not panic,
//! hang, or exceed its memory limits. Run it with `cargo +nightly fuzz run capture`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtt_client::read_trace;
use rtt_client::report::{Json, JsonConfig, Text, TextConfig};
use std::io::sink;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let name = Path::new("fuzz");
    // An invalid file is an error, which is a correct result.
    let _ = read_trace(bytes, name, &mut Json::new(sink(), JsonConfig::default()));
    let _ = read_trace(bytes, name, &mut Text::new(sink(), sink(), TextConfig::default()));
});
