//! Delivers random packets to an ICMP socket of the client, as replies and as quotations in ICMP errors.
//!
//! Run it with `cargo +nightly fuzz run icmp`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtt_client::receive_any_icmp_packet;

fuzz_target!(|input: (bool, u16, [u32; 2], &[u8])| {
    let (is_v6, identifier, requests, packet) = input;
    receive_any_icmp_packet(is_v6, identifier, requests, packet);
});
