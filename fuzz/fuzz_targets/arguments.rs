//! Parses random text as a target, a local address, a duration, a number, and the options of a server. Also makes the text
//! safe for a terminal. A valid target must be the same after it was written as text.
//!
//! Run it with `cargo +nightly fuzz run arguments`.
#![no_main]

use clap::Parser;
use echo_core::{escape, is_terminal_control};
use libfuzzer_sys::fuzz_target;
use rtt_client::{Target, local_address};

#[derive(Parser)]
struct Server {
    #[command(flatten)]
    _service: echo_service::ServiceArgs,
}

fuzz_target!(|text: &str| {
    if let Ok(target) = text.parse::<Target>() {
        assert_eq!(target.to_string().parse(), Ok(target));
    }
    let _ = local_address(text);
    let _ = echo_service::parse_duration(text);
    let _ = echo_service::parse_number::<u32>(text);
    for option in ["--listen", "--allow", "--rate", "--busy-poll", "--workers"] {
        // An error is a valid result.
        let _ = Server::try_parse_from(["server", option, text]);
    }
    let _ = echo_service::escaped_excerpt(text.as_bytes());
    let escaped = escape(text.as_bytes()).to_string();
    assert!(!escaped.chars().any(is_terminal_control), "{escaped:?}");
});
