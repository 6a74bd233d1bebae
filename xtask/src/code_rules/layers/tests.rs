//! The layer rules, for a small client with the layout of the real client.

use super::*;
use crate::code_rules::source::with_file;

/// The files of a client without violations.
const GOOD: [(&str, &str); 19] = [
    (
        "lib.rs",
        "mod model; mod plan; mod protocol; mod analysis; mod capture; mod event; mod report; mod net; mod engine;
         pub use analysis::Verdict; pub use engine::run; pub use protocol::Registry;",
    ),
    ("model.rs", "use std::net::{IpAddr, SocketAddr}; use std::time::Instant; pub struct Target;"),
    ("protocol.rs", "pub mod registry; pub mod explanations; pub mod dissectors; pub mod udp; pub use registry::Registry; use std::net::UdpSocket;"),
    ("protocol/registry.rs", "use super::udp; pub struct Registry; fn f() { udp::facts::PORT }"),
    ("protocol/udp.rs", "pub mod facts; pub mod explain; pub mod packets; use crate::net::resolve; use std::time::Instant;
        use crate::analysis::Verdict;
        fn f() { Instant::now(); }"),
    ("protocol/udp/facts.rs", "use crate::model::Target; pub const PORT: u16 = 25_000;"),
    ("protocol/udp/explain.rs", "mod causes; use crate::model::Target; use crate::analysis::Verdict;
        use crate::capture; use super::facts::PORT; pub struct Explanations;"),
    ("protocol/udp/explain/causes.rs", "use crate::plan::Plan; use super::Explanations;"),
    ("protocol/udp/packets.rs", "use crate::capture::Packet; pub fn roles() {}"),
    ("protocol/explanations.rs", "use super::udp; use crate::analysis::Verdict; pub fn explanations_of() {}
        fn f() { udp::explain::Explanations }"),
    ("protocol/dissectors.rs", "use super::udp; use crate::capture::Packet; pub fn dissector() {}
        fn f() { udp::packets::roles() }"),
    ("plan.rs", "use crate::protocol::registry::Registry; use crate::model::Target; pub struct Plan;"),
    ("analysis.rs", "use crate::{model::Target, plan::Plan}; use crate::Registry; pub struct Verdict;
        use crate::protocol::explanations::explanations_of;"),
    ("capture.rs", "use std::io::Read; use crate::model::Target; use crate::protocol::dissectors::dissector;
        pub struct Packet;"),
    ("event.rs", "use crate::Verdict; pub enum Event {}"),
    ("report/mod.rs", "pub mod text; use crate::event::Event; use std::io::Write;"),
    ("report/text.rs", "use super::Report; use crate::analysis::Verdict;
        #[cfg(test)] mod tests { use crate::engine::run; use std::fs::File; }"),
    ("net/mod.rs", "pub fn resolve() {} use std::net::UdpSocket; use crate::plan::Plan; use crate::analysis::Verdict;"),
    ("engine.rs", "use crate::{event::Event, net, protocol::udp, Verdict}; use crate::protocol::explanations; pub fn run() { net::resolve() }"),
];

/// Adds a file to [`GOOD`], or replaces one, and returns the violations.
fn violations(path: &str, text: &str) -> Vec<String> {
    let sources = with_file(SRC, &GOOD, path, text);
    let mut violations: Vec<String> = check(&sources).iter().map(ToString::to_string).collect();
    for line in &mut violations {
        assert!(!line.contains('\n'), "{line}");
        *line = line.replace(SRC, "");
    }
    violations
}

fn assert_violation(path: &str, text: &str, expected: &str) {
    assert_eq!(violations(path, text), [expected], "{text}");
}

#[test]
fn good_client_has_no_violations() {
    assert_eq!(
        violations("model/extra.rs", "use super::Target; use crate::protocol::Registry;"),
        [""; 0]
    );
}

#[test]
fn forbidden_import_is_reported_with_file_line_and_rule() {
    assert_violation(
        "analysis/extra.rs",
        "//! Header.\n\nuse crate::net::resolve;\n",
        "analysis/extra.rs:3: imports crate::net::resolve (net); RULE: analysis may import only model, plan, protocol facts, protocol explanations",
    );
}

#[test]
fn violation_lists_the_layers_that_may_be_imported() {
    let cases = [
        ("model/x.rs", "crate::plan::Plan", "model may import only protocol facts"),
        ("protocol/udp/facts.rs", "crate::plan::Plan", "protocol facts may import only model"),
        ("plan/x.rs", "crate::protocol::udp::open", "plan may import only model, protocol facts"),
        (
            "capture/x.rs",
            "crate::plan::Plan",
            "capture may import only model, protocol facts, protocol explanations",
        ),
        (
            "event/x.rs",
            "crate::engine::run",
            "event may import only model, plan, analysis, capture, protocol facts",
        ),
        (
            "report/x.rs",
            "crate::protocol::udp::open",
            "report may import only model, plan, analysis, capture, event, protocol facts",
        ),
        (
            "net/x.rs",
            "crate::capture::Packet",
            "net may import only model, plan, protocol facts, analysis",
        ),
        (
            "protocol/tcp.rs",
            "crate::capture::Packet",
            "protocol may import only model, plan, net, protocol facts, analysis, protocol explanations",
        ),
        (
            "engine/x.rs",
            "crate::report::text",
            "engine may import only model, protocol facts, plan, analysis, capture, protocol explanations, event, net, \
             protocol",
        ),
    ];
    for (path, import, rule) in cases {
        let found = violations(path, &format!("use {import};"));
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(found[0].starts_with(&format!("{path}:1: imports {import} (")), "{found:?}");
        assert!(found[0].ends_with(&format!("; RULE: {rule}")), "{found:?}");
    }
}

#[test]
fn indirect_imports_are_reported() {
    let rule = "RULE: plan may import only model, protocol facts";
    let cases = [
        ("use super::super::net;", "imports super::super::net (net)"),
        ("use crate::run;", "imports crate::run (engine)"),
        ("use crate::Verdict as V;", "imports crate::Verdict (analysis)"),
        ("fn f() { crate::net::resolve() }", "imports crate::net::resolve (net)"),
        ("use crate::{model::Target, net::*};", "imports crate::net::* (net)"),
        (
            "mod inner { use super::super::super::engine; }",
            "imports super::super::super::engine (engine)",
        ),
    ];
    for (text, found) in cases {
        assert_violation("plan/x.rs", text, &format!("plan/x.rs:1: {found}; {rule}"));
    }
}

#[test]
fn pure_layers_may_use_only_the_facts_of_a_protocol() {
    assert_violation(
        "plan/x.rs",
        "use crate::protocol::udp;\nfn f() { udp::facts::PORT }\nfn g() { udp::open() }",
        "plan/x.rs:3: imports udp::open (protocol); RULE: plan may import only model, protocol facts",
    );
}

#[test]
fn explanations_may_import_only_pure_layers() {
    let rule = "RULE: protocol explanations may import only model, protocol facts, plan, analysis, capture";
    for path in [
        "protocol/explanations.rs",
        "protocol/dissectors.rs",
        "protocol/tcp/explain.rs",
        "protocol/tcp/explain/claims.rs",
        "protocol/tcp/packets.rs",
        "protocol/tcp/packets/roles.rs",
    ] {
        for (import, layer) in [
            ("crate::net::resolve", "net"),
            ("crate::protocol::udp::open", "protocol"),
            ("crate::engine::run", "engine"),
            ("crate::event::Event", "event"),
        ] {
            let text = format!("use {import};");
            assert_violation(path, &text, &format!("{path}:1: imports {import} ({layer}); {rule}"));
        }
        let found = violations(path, "fn f() { Instant::now(); }");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("RULE: protocol explanations is pure"), "{found:?}");
    }
}

#[test]
fn only_analysis_capture_protocol_and_engine_may_import_explanations() {
    for module in ["explanations", "dissectors"] {
        let text = format!("use crate::protocol::{module}::any;");
        for path in ["analysis/x.rs", "capture/x.rs", "engine/x.rs", "protocol/udp/transport.rs"] {
            assert_eq!(violations(path, &text), [""; 0], "{path}");
        }
        for layer in ["model", "plan", "event", "report", "net"] {
            let found = violations(&format!("{layer}/x.rs"), &text);
            assert_eq!(found.len(), 1, "{layer}: {found:?}");
            assert!(found[0].contains("(protocol explanations); RULE: "), "{found:?}");
        }
    }
    let text = "use crate::protocol::udp; fn f() { udp::explain::Explanations }";
    assert_eq!(violations("report/x.rs", text).len(), 1);
}

#[test]
fn io_and_clock_readings_in_pure_modules_are_reported() {
    let rule = "RULE: plan is pure: no sockets, no clock, no files, no threads, no processes; \
                std::net only for address types";
    let cases = [
        ("use std::net::UdpSocket;", "std::net::UdpSocket"),
        ("use std::net::{IpAddr, TcpStream};", "std::net::TcpStream"),
        ("use std::net;", "std::net"),
        ("use std::{fs, io};", "std::fs"),
        ("fn f() { std::thread::sleep(x) }", "std::thread::sleep"),
        ("fn f() { Instant::now(); }", "Instant::now"),
        ("fn f() { std::time::SystemTime::now(); }", "std::time::SystemTime::now"),
        ("fn f() { Stamp::just_before(); }", "Stamp::just_before"),
        ("fn f() { echo_core::Stamp::just_after(); }", "echo_core::Stamp::just_after"),
        ("use socket2::Socket;", "socket2::Socket"),
        ("use indicatif::ProgressBar;", "indicatif::ProgressBar"),
        ("fn f() { start.map(Instant::elapsed) }", "Instant::elapsed"),
        ("use nix::sys::socket::recvmsg;", "nix::sys::socket::recvmsg"),
        ("fn f() { libc::socket() }", "libc::socket"),
    ];
    for (text, found) in cases {
        assert_violation("plan/x.rs", text, &format!("plan/x.rs:1: uses {found}; {rule}"));
    }
    let text = "fn f() {\n    start.elapsed()\n}";
    assert_violation("plan/x.rs", text, &format!("plan/x.rs:2: calls elapsed(); {rule}"));
    assert_eq!(violations("plan/x.rs", "struct S { elapsed: T } fn f() { s.elapsed }"), [""; 0]);
    assert_eq!(violations("engine/x.rs", text), [""; 0]);
}

#[test]
fn pure_code_may_use_addresses_and_errno_and_may_receive_the_time() {
    let text = "use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr}; use std::time::{Duration, Instant};
        use nix::errno::Errno; use std::io::{self, Write}; use echo_core::Stamp;
        fn f(now: Instant) -> bool { libc::ECONNREFUSED == 1 && IpAddr::V4(Ipv4Addr::LOCALHOST).is_loopback() }
        #[cfg(test)] mod tests { fn f() { std::time::Instant::now(); } }";
    assert_eq!(violations("plan/x.rs", text), [""; 0]);
}

#[test]
fn module_outside_the_layers_is_reported() {
    let found = violations("words.rs", "");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("words.rs: module `words` belongs to no layer; RULE: each module")
    );
}

#[test]
fn test_modules_in_separate_files_are_not_checked() {
    let sources = [
        ("lib.rs", "mod plan;"),
        ("plan.rs", "#[cfg(test)]\nmod tests;\n#[cfg(test)] mod toy;"),
        ("plan/tests.rs", "use crate::engine::run; use std::fs::File;"),
        ("plan/toy/deep.rs", "use std::fs::File;"),
    ]
    .map(|(path, text)| SourceFile::new(&format!("{SRC}{path}"), text));
    assert_eq!(check(&sources), []);
}

#[test]
fn binary_that_includes_files_of_the_library_is_reported() {
    let good = "mod cli; use crate::cli::Cli; use rtt_client::run; use std::fs::File;";
    assert_eq!(violations("bin/rtt-client/main.rs", good), [""; 0]);
    assert_violation(
        "bin/rtt-client/main.rs",
        "#[path = \"../../net/mod.rs\"]\nmod net;",
        "bin/rtt-client/main.rs:1: includes a file with #[path]; RULE: the binary uses only public names of the library (rtt_client::…)",
    );
}
