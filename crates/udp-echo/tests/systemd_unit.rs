//! The memory limit in the systemd unit agrees with the limits of the server.
#![cfg(all(target_os = "linux", not(portable)))]

use udp_echo::{MAX_MEMORY_PER_SOCKET, max_memory};

const SERVICE: &str = include_str!("../../../dist/systemd/udp-echo.service");
const SOCKETS: &str = include_str!("../../../dist/systemd/udp-echo.socket");

const MIB: usize = 1024 * 1024;

#[test]
fn memory_limit_permits_the_memory_of_all_sockets_and_little_more() {
    let sockets = SOCKETS.lines().filter(|line| line.starts_with("ListenDatagram=")).count();
    let limit = SERVICE.lines().find_map(|line| line.strip_prefix("MemoryMax=")?.strip_suffix('M'));
    let limit = limit.expect("MemoryMax in MiB").parse::<usize>().unwrap() * MIB;
    let needed = max_memory(sockets);
    assert!(limit >= needed, "MemoryMax is {limit}, but {needed} bytes are possible");
    assert!(
        limit <= needed + needed / 4,
        "MemoryMax is {limit}, but only {needed} bytes are possible"
    );
    // The comment above the limit contains its parts.
    for part in [
        format!("for two sockets: {} MiB for each socket", MAX_MEMORY_PER_SOCKET.div_ceil(MIB)),
        format!("{} MiB for the server itself", max_memory(0).div_ceil(MIB)),
    ] {
        assert!(SERVICE.contains(&part), "{part}");
    }
}
