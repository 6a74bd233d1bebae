//! The error if this user may create neither a ping socket nor a raw socket.

use std::{fs, io};

/// The file with the groups that may create ping sockets (Documentation/networking/ip-sysctl.rst). The setting also
/// applies to IPv6.
const PING_GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";

/// The error, with the setting and the capability that are missing.
pub(super) fn missing_permission() -> io::Error {
    let groups = fs::read_to_string(PING_GROUPS).ok();
    io::Error::new(io::ErrorKind::PermissionDenied, explanation(groups.as_deref()))
}

/// `groups` is the content of the file, if the system has it.
fn explanation(groups: Option<&str>) -> String {
    let Some(groups) = groups else {
        return "the system allows this user neither ping sockets nor raw sockets; raw sockets need administrator \
                privileges"
            .to_owned();
    };
    let groups: Vec<&str> = groups.split_whitespace().collect();
    format!(
        "the kernel allows ping sockets only to the groups in net.ipv4.ping_group_range (now {}), and raw sockets \
         only with the capability CAP_NET_RAW",
        groups.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanation_names_the_setting_and_the_capability() {
        let text = explanation(Some("1\t0\n"));
        assert!(text.contains("net.ipv4.ping_group_range (now 1 0)"), "{text}");
        assert!(text.ends_with("CAP_NET_RAW"), "{text}");
        assert!(!explanation(None).contains("ping_group_range"));
    }
}
