//! The number of datagrams with a wrong checksum, in the statistics of Linux.

/// Returns the number of UDP datagrams with a wrong checksum: `InCsumErrors` of `Udp` in /proc/net/snmp, and
/// `Udp6InCsumErrors` in /proc/net/snmp6. The kernel also counts these datagrams as dropped by the receive queue of
/// their socket (`__sk_queue_drop_skb`, net/core/datagram.c).
///
/// ```
/// let snmp = "Udp: InDatagrams InCsumErrors\nUdp: 70 3\n";
/// let snmp6 = "Udp6InDatagrams 5\nUdp6InCsumErrors 4\n";
/// assert_eq!(echo_core::udp_checksum_errors(snmp, snmp6), Some(7));
/// assert_eq!(echo_core::udp_checksum_errors(snmp, ""), Some(3));
/// assert_eq!(echo_core::udp_checksum_errors("", ""), None);
/// ```
#[must_use]
pub fn udp_checksum_errors(snmp: &str, snmp6: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let pairs = names.split_ascii_whitespace().zip(values.split_ascii_whitespace());
    let value_of = |(_, value): (&str, &str)| value.parse::<u64>().ok();
    let over_ipv4 =
        pairs.into_iter().find(|(name, _)| *name == "InCsumErrors").and_then(value_of)?;
    let over_ipv6 = snmp6
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .find(|(name, _)| *name == "Udp6InCsumErrors")
        .and_then(|(_, value)| value.trim().parse::<u64>().ok());
    Some(over_ipv4 + over_ipv6.unwrap_or(0))
}
