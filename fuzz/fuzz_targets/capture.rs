//! Reads random bytes as a capture file, dissects and explains the packets, and writes the report as text and
//! as JSON. The reader must not panic, must not hang, and must not exceed the memory limit of libFuzzer.
//!
//! Run it with `cargo +nightly fuzz run capture`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtt_client::read_trace;
use rtt_client::report::{Json, JsonConfig, Text, TextConfig};
use std::io::sink;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzz");
    // An error is a valid result.
    let _ = read_trace(bytes, path, &mut Json::new(sink(), JsonConfig::default()));
    let _ = read_trace(bytes, path, &mut Text::new(sink(), sink(), TextConfig::default()));
});
