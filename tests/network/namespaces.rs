//! Checks whether network namespaces are available on this machine.

use std::process::Command;

/// Whether a test can create a network namespace, and the shell command `required` succeeds in this namespace.
///
/// If the result is false, prints SKIPPED. If `REQUIRE_NETNS` is set, as in CI, the test fails instead.
pub fn is_possible(required: &str) -> bool {
    let check = format!("mount -t tmpfs tmpfs /run && ip link && python3 --version && {required}");
    let output = Command::new("unshare").args(["-Urnm", "sh", "-c", &check]).output();
    let is_possible = output.is_ok_and(|output| output.status.success());
    if !is_possible {
        let is_required = std::env::var_os("REQUIRE_NETNS").is_some();
        assert!(!is_required, "REQUIRE_NETNS is set, but network namespaces are not available");
        eprintln!(
            "SKIPPED: network namespaces are not available (they need unshare, ip, python3 and `{required}`)"
        );
    }
    is_possible
}
