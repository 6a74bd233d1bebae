//! The rule about names of protocols, for a small client with the layout of the real client.

use super::*;
use crate::code_rules::source::with_file;

/// The files of a client without violations.
const GOOD: [(&str, &str); 6] = [
    ("lib.rs", "mod protocol; mod capture; mod engine;"),
    ("protocol.rs", "mod udp; mod tcp; mod icmp; // UDP"),
    ("protocol/udp/facts.rs", "const NAME: &str = \"udp\"; // UDP, unlike TCP"),
    ("protocol/tcp/facts.rs", "struct TcpInfo;"),
    ("protocol/icmp/facts.rs", "const URL: &str = \"icmp://host\"; // ICMP echo"),
    ("capture/dissect.rs", "fn dissect() {}"),
];

/// Adds a file to [`GOOD`], or replaces one, and returns the violations.
fn violations(path: &str, text: &str) -> Vec<String> {
    let violations = check(&with_file(SRC, &GOOD, path, text));
    violations.iter().map(|violation| violation.to_string().replace(SRC, "")).collect()
}

/// The places of the violations in a file of generic code.
fn places(text: &str) -> Vec<String> {
    let violations = violations("engine.rs", text);
    let places = violations.iter().map(|violation| {
        let (place, rule) = violation.split_once("; RULE: ").unwrap();
        assert_eq!(rule, RULE);
        let (line, found) = place.split_once(": contains the protocol name ").unwrap();
        format!("{} {found}", line.strip_prefix("engine.rs:").unwrap())
    });
    places.collect()
}

#[test]
fn names_in_identifiers_strings_and_comments_are_reported_with_file_and_line() {
    assert_eq!(
        violations("engine/x.rs", "//! Header.\n\nstruct TcpInfo;\n"),
        [format!(
            "engine/x.rs:3: contains the protocol name `tcp` in the identifier `TcpInfo`; RULE: {RULE}"
        )]
    );
    assert_eq!(
        places("//! UDP\nfn f() {\n    g(\"over tcp\"); // TCP\n    /* a\n    udp */\n}"),
        [
            "1 `udp` in a comment",
            "3 `tcp` in a comment",
            "3 `tcp` in a string",
            "5 `udp` in a comment"
        ]
    );
    assert_eq!(places("const A: &str = \"a\n  b-udp-c\";"), ["2 `udp` in a string"]);
}

#[test]
fn parts_of_identifiers_are_reported() {
    for identifier in [
        "udp",
        "Udp",
        "UDP",
        "UdpSocket",
        "udp_socket",
        "MAX_UDP_PAYLOAD",
        "OverUdp",
        "IPUdp",
        "UDPSocket",
        "isUdp",
        "udp6",
        "UDPv4",
        "_udp",
        "r_udp_2",
    ] {
        let text = format!("fn {identifier}() {{}}");
        assert_eq!(places(&text), [format!("1 `udp` in the identifier `{identifier}`")]);
    }
    for identifier in ["udpate", "cudp", "Tcpdump", "tcpdump", "stcp", "udp6x"] {
        assert_eq!(places(&format!("fn {identifier}() {{}} // {identifier}")), [""; 0]);
    }
}

#[test]
fn binary_is_checked() {
    let rule = format!("RULE: {RULE}");
    assert_eq!(
        violations("bin/rtt-client/cli.rs", "fn f() { protocol_named(\"udp\") }"),
        [format!("bin/rtt-client/cli.rs:1: contains the protocol name `udp` in a string; {rule}")]
    );
}

#[test]
fn files_of_the_protocols_are_exempt() {
    assert_eq!(violations("protocol/udp/transport.rs", "use std::net::UdpSocket; // TCP"), [""; 0]);
    assert_eq!(violations("protocol/registry.rs", "$macro! { udp, tcp }"), [""; 0]);
    assert_eq!(violations("capture/dissect.rs", "const UDP: u8 = 17;").len(), 1);
    assert_eq!(violations("engine/protocol/udp.rs", "const UDP: u8 = 17;").len(), 1);
}

#[test]
fn other_crates_are_exempt() {
    let text = "struct Udp; // TCP";
    let other_crate = SourceFile::new("crates/udp-echo/src/lib.rs", text);
    let integration_test = SourceFile::new("crates/rtt-client/tests/series.rs", text);
    assert_eq!(check(&[other_crate, integration_test]), []);
}

#[test]
fn tests_are_exempt() {
    let text = "/// A UDP server for tests.
        #[cfg(test)]
        fn udp() {}
        #[test] fn tcp_is_a_stream() { f(\"tcp\") }
        #[cfg(test)] mod tests {
            //! UDP
            use std::net::UdpSocket; // UDP
        }";
    assert_eq!(places(text), [""; 0]);
    let sources = [
        ("engine.rs", "#[cfg(test)] mod test_transport; #[cfg(test)] mod tests;"),
        ("engine/tests.rs", "fn udp() {}"),
        ("engine/test_transport.rs", "fn udp() {}"),
        ("protocol/udp/facts.rs", ""),
    ];
    let sources = sources.map(|(path, text)| SourceFile::new(&format!("{SRC}{path}"), text));
    assert_eq!(check(&sources), []);
}

#[test]
fn code_around_tests_is_checked() {
    let text = "// UDP\n\n#[cfg(test)]\nmod tests {}\n// TCP\n#[cfg(not(test))]\nfn udp() {}";
    assert_eq!(
        places(text),
        ["1 `udp` in a comment", "5 `tcp` in a comment", "7 `udp` in the identifier `udp`"]
    );
}

#[test]
fn examples_in_doc_comments_are_exempt() {
    let text = "/// An example:\n///\n/// ```\n/// let udp = 1;\n/// ```\n/// TCP\nfn f() {}";
    assert_eq!(places(text), ["6 `tcp` in a comment"]);
    // An example ends with its comment.
    let text = "/// ```\n/// UDP\nfn f() {}\n/// TCP\nfn g() {}";
    assert_eq!(places(text), ["4 `tcp` in a comment"]);
    // A comment that is not a doc comment has no examples.
    assert_eq!(places("// ```\n// UDP\n// ```"), ["2 `udp` in a comment"]);
}

#[test]
fn icmp_errors_about_packets_of_any_protocol_are_exempt() {
    for text in [
        "struct IcmpError { icmp_type: u8 }",
        "use crate::model::icmp::Origin; fn f() { icmp::explain(from_icmp) }",
        "// The ICMP error of a router. ICMPv6 has other types than ICMP.",
        "const A: &str = \"ICMP type 3 code 1\"; const B: &str = \"icmp\";",
        "// an echo server, a request",
    ] {
        assert_eq!(places(text), [""; 0], "{text}");
    }
}

#[test]
fn icmp_echo_is_reported() {
    for (text, place) in [
        ("const A: &str = \"icmp://host\";", "a string"),
        ("use crate::protocol::icmp::facts;", "the path `crate::protocol::icmp::facts`"),
        ("use crate::protocol::{icmp};", "the path `crate::protocol::icmp`"),
        ("// protocol/icmp/ has more", "a comment"),
        ("// The kernel answers ICMP echo requests.", "a comment"),
        ("// ICMPv6 echo", "a comment"),
        ("const A: &str = \"an echo request\";", "a string"),
        ("struct IcmpEcho;", "the identifier `IcmpEcho`"),
        ("const ICMPV6_ECHO_REPLY: u8 = 129;", "the identifier `ICMPV6_ECHO_REPLY`"),
        ("struct ICMPv6Echo;", "the identifier `ICMPv6Echo`"),
        ("fn echo_request() {}", "the identifier `echo_request`"),
    ] {
        assert_eq!(places(text), [format!("1 `icmp` in {place}")], "{text}");
    }
}

#[test]
fn names_come_from_the_folders_of_the_protocols() {
    assert_eq!(places("struct SctpSocket;"), [""; 0]);
    let sources = [("protocol/sctp/facts.rs", ""), ("engine.rs", "struct SctpSocket; // UDP")];
    let sources = sources.map(|(path, text)| SourceFile::new(&format!("{SRC}{path}"), text));
    let violations = check(&sources);
    assert_eq!(violations.len(), 1);
    assert!(violations[0].found.contains("`sctp`"), "{}", violations[0]);
}
