//! The memory limit in the systemd unit agrees with the limits of the server.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/systemd_units.rs"]
mod systemd_units;

use systemd_units::Unit;
use udp_echo::{MAX_MEMORY_PER_SOCKET, max_memory};

const MIB: usize = 1024 * 1024;

#[test]
fn memory_limit_permits_the_memory_of_all_sockets_and_little_more() {
    let sockets = Unit::read("udp-echo.socket").values("ListenDatagram").len();
    let parts = [
        format!("for two sockets: {} MiB for each socket", MAX_MEMORY_PER_SOCKET.div_ceil(MIB)),
        format!("{} MiB for the server itself", max_memory(0).div_ceil(MIB)),
    ];
    assert_eq!(sockets, 2);
    Unit::read("udp-echo.service").check_memory_limit(max_memory(sockets), &parts);
}
