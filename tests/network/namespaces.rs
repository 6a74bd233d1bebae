//! Whether tests can have a network of their own here.

use std::process::Command;

/// Whether there can be namespaces here, and what else `needs` to run there. Says SKIPPED where not, and
/// fails where a skip is not allowed.
pub fn is_possible(needs: &str) -> bool {
    let needed = format!("mount -t tmpfs tmpfs /run && ip link && python3 --version && {needs}");
    let tried = Command::new("unshare").args(["-Urnm", "sh", "-c", &needed]).output();
    let is_possible = tried.is_ok_and(|output| output.status.success());
    if !is_possible {
        let required = std::env::var_os("REQUIRE_NETNS").is_some();
        assert!(!required, "REQUIRE_NETNS is set, and there can be no namespaces here");
        eprintln!("SKIPPED: no namespaces here (unshare, ip and python3 are needed, and {needs})");
    }
    is_possible
}
