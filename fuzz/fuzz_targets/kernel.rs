//! Reads random bytes as data of the kernel: datagrams of netlink, the statistics of a TCP connection, and the counters in
//! `/proc/net/snmp` and `/proc/net/snmp6`. An unknown version of the kernel must not make the programs panic.
//!
//! Run it with `cargo +nightly fuzz run kernel`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtt_client::{decode_any_statistics, handle_any_netlink_datagram};

fuzz_target!(|input: (&str, &[u8])| {
    let (text, bytes) = input;
    handle_any_netlink_datagram(bytes);
    decode_any_statistics(bytes);
    let (snmp, snmp6) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let _ = echo_core::udp_checksum_errors(text, text);
    let _ = echo_core::udp_checksum_errors(snmp, snmp6);
});
