//! The error if this user may create neither a ping socket nor a raw socket.

use std::{fs, io};

/// The file with the groups that may create ping sockets (Documentation/networking/ip-sysctl.rst). The setting also
/// applies to IPv6.
const PING_GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";

/// The error, with the setting and the capability that are missing. `ping_error` is the reason why there is no ping
/// socket.
pub(super) fn missing_permission(ping_error: &io::Error) -> io::Error {
    let is_denied = ping_error.kind() == io::ErrorKind::PermissionDenied;
    let groups = is_denied.then(|| fs::read_to_string(PING_GROUPS).ok()).flatten();
    let explanation = match groups {
        Some(groups) => without_group(&groups),
        None => without_ping_sockets(ping_error),
    };
    io::Error::new(io::ErrorKind::PermissionDenied, explanation)
}

/// The explanation if the setting does not include the groups of this user. `setting` is the content of the file.
fn without_group(setting: &str) -> String {
    let limits: Vec<&str> = setting.split_whitespace().collect();
    let numbers: Vec<Option<u32>> = limits.iter().map(|limit| limit.parse().ok()).collect();
    let is_empty = matches!(numbers[..], [Some(first), Some(last)] if first > last);
    let note = if is_empty { ": no group" } else { "" };
    format!(
        "the kernel allows ping sockets only to the groups in net.ipv4.ping_group_range (now {}{note}), and raw \
         sockets only with the capability CAP_NET_RAW (allow it with `sudo sysctl -w \
         net.ipv4.ping_group_range=\"0 2147483647\"` or `sudo setcap cap_net_raw+ep PATH-OF-rtt-client`)",
        limits.join(" ")
    )
}

/// The explanation if the system has no ping sockets.
fn without_ping_sockets(error: &io::Error) -> String {
    if cfg!(target_os = "linux") {
        return format!(
            "the kernel provides no ping socket ({error}), and allows raw sockets only with the capability CAP_NET_RAW \
             (allow it with `sudo setcap cap_net_raw+ep PATH-OF-rtt-client`)"
        );
    }
    format!(
        "the system provides no ping socket ({error}); raw sockets need administrator privileges"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn explanation_names_the_setting_and_the_capability() {
        let text = without_group("1\t0\n");
        assert!(text.contains("net.ipv4.ping_group_range (now 1 0: no group)"), "{text}");
        assert!(text.contains("CAP_NET_RAW"), "{text}");
        assert!(text.contains("`sudo sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`"));
        let text = without_group("100\t200\n");
        assert!(text.contains("(now 100 200), and"), "{text}");
        // The range contains one group.
        assert!(without_group("0\t0\n").contains("(now 0 0), and"));
    }

    #[test]
    fn setting_is_named_only_if_it_prevents_the_ping_socket() {
        let unsupported = io::Error::new(ErrorKind::Unsupported, "protocol not supported");
        let error = missing_permission(&unsupported);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let text = error.to_string();
        assert!(text.contains("no ping socket (protocol not supported)"), "{text}");
        assert!(!text.contains("ping_group_range"), "{text}");
        if fs::exists(PING_GROUPS).unwrap() {
            let text = missing_permission(&ErrorKind::PermissionDenied.into()).to_string();
            assert!(text.contains("ping_group_range"), "{text}");
        }
    }
}
