//! The limits in the systemd unit agree with the limits of the server.

use tcp_echo::max_memory;

const UNIT: &str = include_str!("../../../dist/systemd/tcp-echo.service");

/// The value of a setting of the unit.
fn setting(name: &str) -> &'static str {
    let value = UNIT.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("the unit does not contain {name}"))
}

/// The value of `--connections`.
fn connections() -> usize {
    let mut words = setting("ExecStart").split_whitespace();
    words.find(|word| *word == "--connections").expect("the option --connections");
    words.next().unwrap().parse().unwrap()
}

/// Parses a size of systemd (systemd.resource-control(5)): the suffixes K, M and G are powers of 1024.
fn bytes(size: &str) -> usize {
    let (number, exponent) = match size.split_at(size.len() - 1) {
        (number, "K") => (number, 1),
        (number, "M") => (number, 2),
        (number, "G") => (number, 3),
        _ => (size, 0),
    };
    number.parse::<usize>().unwrap() * 1024_usize.pow(exponent)
}

#[test]
fn memory_limit_permits_the_memory_of_all_connections_and_little_more() {
    let (needed, limit) = (max_memory(connections()), bytes(setting("MemoryMax")));
    assert!(limit >= needed, "MemoryMax is {limit}, but {needed} bytes are possible");
    assert!(
        limit <= needed + needed / 4,
        "MemoryMax is {limit}, but only {needed} bytes are possible"
    );
}

#[test]
fn descriptor_limit_permits_all_connections() {
    let limit: usize = setting("LimitNOFILE").parse().unwrap();
    // 100 is more than the rest of the server needs.
    assert!(limit >= connections() + 100, "{limit}");
}
