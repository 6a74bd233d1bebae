//! Finds code that is not pure: code that uses sockets, clocks, files, threads or processes.

use super::Violation;
use super::source::SourceFile;
use super::syntax::Token;

/// The text of the rule for pure layers.
pub(super) const RULE: &str =
    "no sockets, no clock, no files, no threads, no processes; std::net only for address types";

/// The source directory of `echo-core`. All its modules are pure.
const ECHO_CORE: &str = "crates/echo-core/src/";

/// Modules that `echo-core` may not use, even in tests.
const FORBIDDEN_IN_ECHO_CORE: [&str; 4] = ["std::net", "std::fs", "std::io", "std::thread"];

/// The types of `std::net` that contain only data.
const ADDRESS_TYPES: [&str; 7] = [
    "AddrParseError",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "SocketAddr",
    "SocketAddrV4",
    "SocketAddrV6",
];

/// Modules of the standard library that pure code may not use.
const FORBIDDEN_STD: [&str; 3] = ["fs", "process", "thread"];

/// Crates that pure code may not use. `indicatif` draws on the terminal and reads the clock.
const FORBIDDEN_CRATES: [&str; 6] =
    ["dns_lookup", "indicatif", "mio", "rustix", "socket2", "tokio"];

/// Types that are sockets. Pure code may not use them, from any crate.
const SOCKET_TYPES: [&str; 3] = ["TcpListener", "TcpStream", "UdpSocket"];

/// Functions that read a clock: the last two names of their paths.
const CLOCK_FUNCTIONS: [[&str; 2]; 8] = [
    ["Instant", "elapsed"],
    ["Instant", "now"],
    ["Local", "now"],
    ["Stamp", "just_after"],
    ["Stamp", "just_before"],
    ["SystemTime", "elapsed"],
    ["SystemTime", "now"],
    ["Utc", "now"],
];

/// The lines with a call of `.elapsed()`. This method of `Instant` and `SystemTime` reads the clock.
pub(super) fn elapsed_calls(tokens: &[Token]) -> impl Iterator<Item = usize> {
    let calls = tokens.windows(3).filter(|next| {
        [".", "elapsed", "("].iter().zip(*next).all(|(expected, token)| *expected == token.text)
    });
    calls.map(|next| next[1].line)
}

/// Whether the item with this path does I/O or reads a clock.
pub(super) fn is_impure(path: &[String]) -> bool {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let is_forbidden = match names[..] {
        ["std" | "core", "net", name, ..] => !ADDRESS_TYPES.contains(&name),
        ["std" | "core", "net"] => true,
        ["std", name, ..] => FORBIDDEN_STD.contains(&name),
        ["nix", name, ..] => name != "errno",
        // In libc, names with lower-case letters are functions (system calls) and types. Constants are upper case
        // and allowed.
        ["libc", .., name] => name.contains(char::is_lowercase),
        [name, ..] => FORBIDDEN_CRATES.contains(&name),
        [] => false,
    };
    is_forbidden
        || names.iter().any(|name| SOCKET_TYPES.contains(name))
        || names.windows(2).any(|pair| CLOCK_FUNCTIONS.iter().any(|function| function == pair))
}

/// Checks a file if it belongs to `echo-core`.
pub(super) fn check_echo_core(source: &SourceFile) -> Vec<Violation> {
    if !source.path.starts_with(ECHO_CORE) {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (number, line) in source.lines() {
        for path in FORBIDDEN_IN_ECHO_CORE.iter().filter(|path| line.contains(**path)) {
            violations.push(Violation {
                file: source.path.clone(),
                line: Some(number),
                found: format!("uses {path}"),
                rule: format!("echo-core is pure: no {}", FORBIDDEN_IN_ECHO_CORE.join(", no ")),
            });
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_in_echo_core_is_reported() {
        let text = "//! Header.\nuse std::time::Instant;\nuse std::io::Write;\n";
        let violations = check_echo_core(&SourceFile::new("crates/echo-core/src/a.rs", text));
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "crates/echo-core/src/a.rs:3: uses std::io; RULE: echo-core is pure: no std::net, no std::fs, no std::io, no std::thread"
            ]
        );
        assert!(check_echo_core(&SourceFile::new("crates/udp-echo/src/a.rs", text)).is_empty());
    }
}
