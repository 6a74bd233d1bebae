//! The limits in the systemd unit agree with the limits of the server.

#[path = "../../../tests/systemd_units.rs"]
mod systemd_units;

use systemd_units::Unit;
use tcp_echo::{
    MAX_KERNEL_MEMORY_PER_CONNECTION, MAX_PENDING_CLOSES, MAX_PROCESS_MEMORY_PER_CONNECTION,
    max_memory,
};

const KIB: usize = 1024;

fn unit() -> Unit {
    Unit::read("tcp-echo.service")
}

/// The value of `--connections`.
fn connections() -> usize {
    let unit = unit();
    let mut words = unit.value("ExecStart").split_whitespace();
    words.find(|word| *word == "--connections").expect("the option --connections");
    words.next().unwrap().parse().unwrap()
}

#[test]
fn memory_limit_permits_the_memory_of_all_connections_and_little_more() {
    let per_connection = MAX_KERNEL_MEMORY_PER_CONNECTION + MAX_PROCESS_MEMORY_PER_CONNECTION;
    let server = max_memory(0) - MAX_PENDING_CLOSES * per_connection;
    let parts = [
        format!("{},{:03} connections", connections() / 1000, connections() % 1000),
        format!("and {MAX_PENDING_CLOSES} more"),
        format!("{} KiB of the server", MAX_PROCESS_MEMORY_PER_CONNECTION.div_ceil(KIB)),
        format!("{} KiB of the kernel", MAX_KERNEL_MEMORY_PER_CONNECTION.div_ceil(KIB)),
        format!("{} MiB for the server itself", server.div_ceil(KIB * KIB)),
    ];
    unit().check_memory_limit(max_memory(connections()), &parts);
}

#[test]
fn descriptor_limit_permits_all_connections() {
    let limit: usize = unit().value("LimitNOFILE").parse().unwrap();
    // 100 is more than the rest of the server needs.
    assert!(limit >= connections() + 100, "{limit}");
}
