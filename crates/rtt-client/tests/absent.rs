//! `diagnose` in a network of three namespaces. In most cases, the server does not answer or answers in an unusual way.
//! The test checks the condition, the reporter and the explanation over IPv4 and IPv6.
//!
//! The test also compares the results with the table in docs/absent-servers.md. If the environment variable
//! `UPDATE_DOCS` is set, the test writes the table instead.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "command/documentation.rs"]
mod documentation;
#[path = "../../../tests/network/lab.rs"]
mod network;

use documentation::documented_table;
use nix::errno::Errno;
use serde_json::Value;
use std::fmt::Write as _;

/// The name of a case, and the expected results over UDP and over TCP.
const CASES: [(&str, Expected, Expected); 24] = [
    ("an echo server of this project", ANSWERING, ANSWERING),
    ("a plain echo server", ANSWERING, ANSWERING),
    ("a server behind a firewall that drops echo requests", ANSWERING, ANSWERING),
    ("a closed port", icmp("refused", (3, 3), (1, 4), SERVER), no_icmp("refused")),
    (
        "a host that is down, behind a router",
        icmp("host-unreachable", (3, 1), (1, 3), ROUTER),
        icmp("host-unreachable", (3, 1), (1, 3), ROUTER),
    ),
    (
        "a host that is down, on the client's link",
        icmp("host-unreachable", (3, 1), (1, 3), CLIENT),
        icmp("host-unreachable", (3, 1), (1, 3), CLIENT),
    ),
    (
        "the same host, with a timeout of 1 s",
        no_icmp("host-unreachable"),
        no_icmp("host-unreachable"),
    ),
    ("no route from the client", no_icmp("no-route"), no_icmp("no-route")),
    (
        "no route from the router",
        icmp("no-route", (3, 0), (1, 0), ROUTER),
        icmp("no-route", (3, 0), (1, 0), ROUTER),
    ),
    (
        "a routing loop",
        icmp("host-unreachable", (11, 0), (3, 0), LOOP_END),
        icmp("host-unreachable", (11, 0), (3, 0), LOOP_END),
    ),
    ("a prohibit route on the client", no_icmp("permission-denied"), no_icmp("permission-denied")),
    ("a blackhole route on the client", no_icmp("no-route"), no_icmp("no-route")),
    (
        "an unreachable route on the client",
        no_icmp("host-unreachable"),
        no_icmp("host-unreachable"),
    ),
    ("a firewall that drops requests", no_icmp("silent"), no_icmp("silent")),
    ("a firewall that drops replies", no_icmp("silent"), no_icmp("silent")),
    ("a firewall that sends a TCP reset", ANSWERING, no_icmp("refused")),
    // The kernel does not report its own firewall rules to a TCP connection.
    ("a local firewall rule that drops requests", no_icmp("permission-denied"), no_icmp("silent")),
    ("a server that closes the connection", no_icmp("silent"), no_icmp("closed")),
    (
        "a server that closes the connection in the middle of its reply",
        no_icmp("silent"),
        no_icmp("closed"),
    ),
    ("a server that resets the connection", no_icmp("silent"), no_icmp("reset")),
    ("a server that does not reply", no_icmp("silent"), no_icmp("silent")),
    ("a server that sends a wrong reply", no_icmp("wrong-answer"), no_icmp("wrong-answer")),
    ("a server that replies from its other address", no_icmp("other-address"), no_icmp("refused")),
    (
        "a server that does not reply, while another flow receives ICMP errors",
        no_icmp("silent"),
        no_icmp("silent"),
    ),
];

/// Cases with a firewall that rejects requests: nft's name of the ICMP error, the version of IP, the expected
/// condition, and the expected type and code.
const REJECTS: [(&str, u64, &str, IcmpCode); 13] = [
    ("net-unreachable", 4, "no-route", (3, 0)),
    ("host-unreachable", 4, "host-unreachable", (3, 1)),
    ("prot-unreachable", 4, "refused", (3, 2)),
    ("port-unreachable", 4, "refused", (3, 3)),
    ("net-prohibited", 4, "prohibited", (3, 9)),
    ("host-prohibited", 4, "prohibited", (3, 10)),
    ("admin-prohibited", 4, "prohibited", (3, 13)),
    ("no-route", 6, "no-route", (1, 0)),
    ("admin-prohibited", 6, "prohibited", (1, 1)),
    ("addr-unreachable", 6, "host-unreachable", (1, 3)),
    ("port-unreachable", 6, "refused", (1, 4)),
    ("policy-fail", 6, "prohibited", (1, 5)),
    ("reject-route", 6, "prohibited", (1, 6)),
];

/// An ICMP type and code.
type IcmpCode = (u64, u64);

/// The addresses of a host: IPv4 and IPv6.
type Host = [&'static str; 2];

const CLIENT: Host = ["10.78.0.1", "fd78::1"];
const ROUTER: Host = ["10.78.0.254", "fd78::fe"];
const SERVER: Host = ["10.78.1.2", "fd78:1::2"];

/// The host at which the hop limit reaches zero in the routing loop. The client's hop limit is 64. The router is hop
/// 1 and the server is hop 2, so every even hop is the server. Hop 64 is even.
const LOOP_END: Host = SERVER;

/// The expected result of a case.
#[derive(Clone, Copy)]
struct Expected {
    condition: &'static str,
    /// The types and codes of the ICMP error over IPv4 and over IPv6, and its sender.
    icmp: Option<([IcmpCode; 2], Host)>,
}

const ANSWERING: Expected = no_icmp("answering");

const fn no_icmp(condition: &'static str) -> Expected {
    Expected { condition, icmp: None }
}

const fn icmp(condition: &'static str, v4: IcmpCode, v6: IcmpCode, from: Host) -> Expected {
    Expected { condition, icmp: Some(([v4, v6], from)) }
}

#[test]
fn every_case_has_the_expected_condition_reporter_and_explanation() {
    let Some(results) = run_lab() else { return };
    let mut table = String::new();
    let mut rows = 0;
    for version in [4, 6] {
        let index = usize::from(version == 6);
        let _ = writeln!(table, "### IPv{version}\n\n{TABLE_HEADER}");
        let mut check_case = |name: &str, protocol, condition, icmp| {
            let finding = finding(&results, name, version, protocol);
            check(name, version, finding, condition, icmp);
            let _ = writeln!(table, "{}", table_row(name, finding));
            rows += 1;
        };
        for (name, udp, tcp) in CASES {
            for (protocol, expected) in [("udp", udp), ("tcp", tcp)] {
                let icmp = expected.icmp.map(|(codes, from)| (codes[index], from[index]));
                check_case(name, protocol, expected.condition, icmp);
            }
        }
        for (kind, _, condition, code) in REJECTS.iter().filter(|case| case.1 == version) {
            for protocol in ["udp", "tcp"] {
                let name = format!("a firewall that rejects with {kind}");
                check_case(&name, protocol, condition, Some((*code, ROUTER[index])));
            }
        }
        table.push('\n');
    }
    assert_eq!(rows, 2 * (2 * CASES.len() + REJECTS.len()));
    for version in [4, 6] {
        check_details(&results, version);
        check_explanations(&results, version);
        check_hosts(&results, version);
    }
    let documented = documented_table("absent-servers.md", "table", &table);
    assert_eq!(documented, table, "docs/absent-servers.md is out of date (see UPDATE_DOCS)");
}

/// The results of all cases, or `None` if this machine does not allow namespaces.
fn run_lab() -> Option<Vec<Value>> {
    if !network::is_possible("nft --version") {
        return None;
    }
    let [udp, tcp] = ["udp", "tcp"].map(network::server);
    let client = env!("CARGO_BIN_EXE_rtt-client");
    let results = network::script::run("absent.py", [udp, tcp, client.into()]);
    Some(serde_json::from_value(results).unwrap())
}

fn result<'a>(results: &'a [Value], name: &str, version: u64) -> &'a Value {
    let mut found =
        results.iter().filter(|result| result["case"] == name && result["version"] == version);
    found.next().unwrap_or_else(|| panic!("no case `{name}` over IPv{version}"))
}

fn finding<'a>(results: &'a [Value], name: &str, version: u64, protocol: &str) -> &'a Value {
    let result = result(results, name, version);
    let mut findings = result["findings"].as_array().unwrap().iter();
    let found = findings.find(|finding| finding["protocol"] == protocol);
    found.unwrap_or_else(|| panic!("{result}"))
}

fn check(
    name: &str,
    version: u64,
    finding: &Value,
    condition: &str,
    icmp: Option<(IcmpCode, &str)>,
) {
    let context = format!("{name}, IPv{version}: {finding}");
    assert_eq!(finding["condition"], condition, "{context}");
    match icmp {
        Some(((kind, code), from)) => {
            assert_eq!(finding["icmp"]["type"], kind, "{context}");
            assert_eq!(finding["icmp"]["code"], code, "{context}");
            assert_eq!(finding["icmp"]["from"], from, "{context}");
            assert_eq!(finding["origin"], "icmp", "{context}");
        }
        None => assert_eq!(finding["icmp"], Value::Null, "{context}"),
    }
    // The timeout is 5 s or 1 s. On a busy machine, the client can detect the timeout late.
    assert!(finding["after_ns"].as_u64().unwrap() < 5_500_000_000, "{context}");
    assert!(finding["explanation"].as_str().unwrap().len() > 40, "{context}");
    // A socket that is not connected never receives an ICMP error.
    if finding["protocol"] == "udp" && icmp.is_some() {
        assert_eq!(finding["unconnected"]["result"], "timeout", "{context}");
    }
}

/// Checks the fields that only some cases have.
fn check_details(results: &[Value], version: u64) {
    let of = |name: &str, protocol| finding(results, name, version, protocol);
    let detail = |name: &str, protocol| of(name, protocol)["detail"].as_str().unwrap();
    for (name, server) in
        [("an echo server of this project", "echo-rtt"), ("a plain echo server", "plain")]
    {
        for protocol in ["udp", "tcp"] {
            assert_eq!(of(name, protocol)["server"], server);
        }
        assert_eq!(result(results, name, version)["status"], 0);
        assert_eq!(of(name, "udp")["unconnected"]["result"], "reply");
    }
    assert_eq!(result(results, "a closed port", version)["status"], 1);
    // The kernel repeats a SYN after 1 s, and again after 2 or 3 s (exponential back-off).
    let requests = detail("a firewall that drops requests", "tcp");
    let count: u32 = requests.split(' ').next().unwrap().parse().unwrap();
    assert!(count >= 3, "{requests}");
    assert!(requests.contains("connection requests (SYN), at 0.0, 1."), "{requests}");
    assert_eq!(of("a firewall that drops requests", "udp")["sent"], 3);
    assert!(of("a server that does not reply", "tcp")["connect_ns"].is_u64());
    let wrong_reply = of("a server that sends a wrong reply", "tcp")["reply"].as_str().unwrap();
    assert!(wrong_reply.starts_with("220 mail.example \u{1b}"), "{wrong_reply}");
    let other = of("a server that replies from its other address", "udp");
    let from = SERVER[usize::from(version == 6)];
    assert!(other["reply_from"].as_str().unwrap().contains(from), "{other}");
    let half = detail("a server that closes the connection in the middle of its reply", "tcp");
    assert!(half.starts_with("after 40 of the reply's 81"), "{half}");
    let early = of("the same host, with a timeout of 1 s", "udp");
    assert!(early["after_ns"].as_u64().unwrap() < 1_500_000_000, "{early}");
    assert!(early["detail"].as_str().unwrap().contains("has not answered"), "{early}");
    for (name, protocol, origin) in [
        ("no route from the client", "tcp", "this-host"),
        ("a prohibit route on the client", "tcp", "this-host"),
        ("an unreachable route on the client", "udp", "this-host"),
        ("a local firewall rule that drops requests", "udp", "this-host"),
        ("a server that resets the connection", "tcp", "peer"),
        ("a server that closes the connection", "tcp", "peer"),
        ("a closed port", "tcp", "peer"),
        ("a firewall that sends a TCP reset", "tcp", "peer"),
    ] {
        assert_eq!(of(name, protocol)["origin"], origin, "{name}");
    }
}

/// Checks a part of the explanation in some cases.
fn check_explanations(results: &[Value], version: u64) {
    for protocol in ["udp", "tcp"] {
        for (name, expected) in [
            (
                "a host that is down, on the client's link",
                "on this host's own link, no host answers",
            ),
            ("the same host, with a timeout of 1 s", "on this host's own link, no host answers"),
            ("a host that is down, behind a router", "a host on the path, could not reach"),
            ("a routing loop", "hop limit reached zero: the path has a loop"),
            ("no route from the client", "this host has no route to the address"),
            ("no route from the router", "a host on the path, has no route to the address"),
            ("a prohibit route on the client", "a route of type `prohibit`"),
            ("an unreachable route on the client", "a route of type `unreachable`"),
        ] {
            let finding = finding(results, name, version, protocol);
            let explanation = finding["explanation"].as_str().unwrap();
            assert!(explanation.contains(expected), "{name}, {protocol}: {explanation}");
        }
    }
}

/// Checks the conclusion about the host.
fn check_hosts(results: &[Value], version: u64) {
    for (name, state, condition) in [
        ("an echo server of this project", "service-up", "answering"),
        (
            "a server behind a firewall that drops echo requests",
            "service-up-host-check-unanswered",
            "silent",
        ),
        ("a closed port", "host-up-service-down", "answering"),
        ("a firewall that drops requests", "host-up-service-down", "answering"),
        ("a server that does not reply", "host-up-service-down", "answering"),
        ("a host that is down, behind a router", "host-down", "host-unreachable"),
        ("a host that is down, on the client's link", "host-down", "host-unreachable"),
        ("the same host, with a timeout of 1 s", "host-down", "host-unreachable"),
        ("no route from the client", "unknown", "no-route"),
        ("a prohibit route on the client", "unknown", "permission-denied"),
        ("an unreachable route on the client", "unknown", "host-unreachable"),
        ("a routing loop", "unknown", "host-unreachable"),
    ] {
        let events = result(results, name, version)["findings"].as_array().unwrap();
        let host = events.iter().find(|event| event["type"] == "host").unwrap();
        assert_eq!(host["state"], state, "{name}, IPv{version}: {host}");
        let checks = host["checks"].as_array().unwrap();
        assert_eq!(checks.len(), 1, "{name}: {host}");
        assert_eq!(
            (&checks[0]["protocol"], &checks[0]["condition"]),
            (&"icmp".into(), &condition.into()),
            "{name}, IPv{version}: {host}"
        );
    }
}

const TABLE_HEADER: &str = "| case | protocol | condition | reported by | error | textbook client receives |\n\
                            |---|---|---|---|---|---|";

/// The row of the documentation for a finding. It contains only fields that are equal in every run.
fn table_row(name: &str, finding: &Value) -> String {
    let protocol = finding["protocol"].as_str().unwrap().to_uppercase();
    let condition = finding["condition"].as_str().unwrap();
    let icmp = &finding["icmp"];
    let reporter = match finding["origin"].as_str() {
        Some("icmp") => {
            let from = icmp["from"].as_str().unwrap();
            let title = if from.contains(':') { "ICMPv6" } else { "ICMP" };
            format!("{title} {}/{} from {}", icmp["type"], icmp["code"], host_name(from))
        }
        Some("this-host") => "this host".into(),
        Some("peer") if condition == "closed" => "end of the TCP connection".into(),
        Some("peer") => "TCP reset".into(),
        _ => String::new(),
    };
    let error = finding["errno"].as_i64().map_or_else(String::new, |errno| {
        format!("{:?}", Errno::from_raw(i32::try_from(errno).unwrap()))
    });
    let textbook_client = match finding["unconnected"]["result"].as_str() {
        Some("reply") => "the reply",
        Some("error") => "an error",
        Some("timeout") => "nothing",
        _ => "",
    };
    format!("| {name} | {protocol} | `{condition}` | {reporter} | {error} | {textbook_client} |")
}

fn host_name(address: &str) -> &'static str {
    let hosts = [("the client", CLIENT), ("the router", ROUTER), ("the server", SERVER)];
    let found = hosts.into_iter().find(|(_, addresses)| addresses.contains(&address));
    found.unwrap_or_else(|| panic!("no host has the address {address}")).0
}
