//! Any bytes as a capture file: read, dissected, explained and told, as text and as JSON. Nothing may panic,
//! hang, or take more memory than the bounds say: `cargo +nightly fuzz run capture`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtt_client::read_trace;
use rtt_client::report::{Json, JsonConfig, Text, TextConfig};
use std::io::sink;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let name = Path::new("fuzz");
    // Whether it can be read is not the question.
    let _ = read_trace(bytes, name, &mut Json::new(sink(), JsonConfig::default()));
    let _ = read_trace(bytes, name, &mut Text::new(sink(), sink(), TextConfig::default()));
});
