//! Datagrams with a wrong checksum.

use std::fs;

/// The number of UDP datagrams with a wrong checksum at all sockets of this host.
pub(in crate::protocol::udp) fn checksum_errors() -> Option<u64> {
    let snmp = fs::read_to_string("/proc/net/snmp").ok()?;
    let snmp6 = fs::read_to_string("/proc/net/snmp6").unwrap_or_default();
    echo_core::udp_checksum_errors(&snmp, &snmp6)
}
