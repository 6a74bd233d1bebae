//! Servers that are absent in every way: what `diagnose` sees across a network of three namespaces, over
//! IPv4 and IPv6, who said so, and that the documentation says the same.
//!
//! With `UPDATE_DOCS` set, the table in docs/absent-servers.md is written anew from what was seen.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// What a row must come to, over UDP and over TCP. Where the network speaks, its word for IPv4 and for IPv6 and
/// the host that says it.
const ROWS: [(&str, Seen, Seen); 21] = [
    ("an echo server of ours", ANSWERING, ANSWERING),
    ("a plain echo server", ANSWERING, ANSWERING),
    ("a closed port", icmp("refused", (3, 3), (1, 4), SERVER), plain("refused")),
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
    ("the same, with a time-out of 1 s", plain("host-unreachable"), plain("host-unreachable")),
    ("no route from the client", plain("no-route"), plain("no-route")),
    (
        "no route from the router",
        icmp("no-route", (3, 0), (1, 0), ROUTER),
        icmp("no-route", (3, 0), (1, 0), ROUTER),
    ),
    (
        "a routing loop",
        icmp("host-unreachable", (11, 0), (3, 0), LOOP),
        icmp("host-unreachable", (11, 0), (3, 0), LOOP),
    ),
    (
        "a route that prohibits, on the client",
        plain("permission-denied"),
        plain("permission-denied"),
    ),
    ("a route that is a black hole, on the client", plain("no-route"), plain("no-route")),
    ("a firewall that swallows requests", plain("silent"), plain("silent")),
    ("a firewall that swallows replies", plain("silent"), plain("silent")),
    ("a firewall that sends a TCP reset", ANSWERING, plain("refused")),
    // The kernel does not tell a connection of its own rules.
    ("a local rule that drops what leaves", plain("permission-denied"), plain("silent")),
    ("a server that closes", plain("silent"), plain("closed")),
    ("a server that closes amid its answer", plain("silent"), plain("closed")),
    ("a server that resets", plain("silent"), plain("reset")),
    ("a server that is mute", plain("silent"), plain("silent")),
    ("a server that answers garbage", plain("wrong-answer"), plain("wrong-answer")),
    ("a mute server, while another flow gets ICMP errors", plain("silent"), plain("silent")),
];

/// The same of firewalls that say no: nft's name of the error, its version of IP, the condition, type and code.
const REJECTS: [(&str, u64, &str, (u64, u64)); 13] = [
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

type Hosts = [&'static str; 2];
const CLIENT: Hosts = ["10.78.0.1", "fd78::1"];
const ROUTER: Hosts = ["10.78.0.254", "fd78::fe"];
const SERVER: Hosts = ["10.78.1.2", "fd78:1::2"];
/// Where the hops of a loop are used up: 64 of them, and the first is the router's.
const LOOP: Hosts = SERVER;

/// What is seen, and what the network says, over IPv4 and over IPv6.
#[derive(Clone, Copy)]
struct Seen {
    condition: &'static str,
    icmp: Option<([(u64, u64); 2], Hosts)>,
}

const ANSWERING: Seen = plain("answering");

const fn plain(condition: &'static str) -> Seen {
    Seen { condition, icmp: None }
}

const fn icmp(condition: &'static str, v4: (u64, u64), v6: (u64, u64), from: Hosts) -> Seen {
    Seen { condition, icmp: Some(([v4, v6], from)) }
}

#[test]
fn every_way_of_being_absent_is_told_apart() {
    let Some(results) = look() else { return };
    let mut table = String::new();
    let mut rows = 0;
    for version in [4, 6] {
        let _ = writeln!(table, "### IPv{version}\n\n{HEADER}");
        for (name, udp, tcp) in ROWS {
            for (protocol, seen) in [("udp", udp), ("tcp", tcp)] {
                let icmp = seen.icmp.map(|(codes, from)| {
                    let place = usize::from(version == 6);
                    (codes[place], from[place])
                });
                let finding = finding(&results, name, version, protocol);
                check(name, version, finding, seen.condition, icmp);
                let _ = writeln!(table, "{}", in_words(name, finding));
                rows += 1;
            }
        }
        for (kind, _, condition, codes) in REJECTS.iter().filter(|row| row.1 == version) {
            let name = format!("a firewall that rejects: {kind}");
            for protocol in ["udp", "tcp"] {
                let finding = finding(&results, &name, version, protocol);
                let from = ROUTER[usize::from(version == 6)];
                check(&name, version, finding, condition, Some((*codes, from)));
                let _ = writeln!(table, "{}", in_words(&name, finding));
                rows += 1;
            }
        }
        table.push('\n');
    }
    assert_eq!(rows, 2 * (2 * ROWS.len() + REJECTS.len()));
    details(&results);
    let documented = documented(&table);
    assert_eq!(documented, table, "docs/absent-servers.md says otherwise (see UPDATE_DOCS)");
}

fn look() -> Option<Vec<Value>> {
    if !network::is_possible("nft --version") {
        return None;
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/network/absent.py");
    let output = Command::new("unshare")
        .args(["-Urnm", "python3"])
        .arg(script)
        .args([network::server("udp"), network::server("tcp")])
        .arg(env!("CARGO_BIN_EXE_rtt-client"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn result<'a>(results: &'a [Value], name: &str, version: u64) -> &'a Value {
    let mut found = results.iter().filter(|row| row["row"] == name && row["version"] == version);
    found.next().unwrap_or_else(|| panic!("no row `{name}` over IPv{version}"))
}

fn finding<'a>(results: &'a [Value], name: &str, version: u64, protocol: &str) -> &'a Value {
    let row = result(results, name, version);
    let mut findings = row["findings"].as_array().unwrap().iter();
    findings.find(|finding| finding["protocol"] == protocol).unwrap_or_else(|| panic!("{row}"))
}

fn check(
    name: &str,
    version: u64,
    finding: &Value,
    condition: &str,
    icmp: Option<((u64, u64), &str)>,
) {
    let whom = format!("{name}, IPv{version}: {finding}");
    assert_eq!(finding["condition"], condition, "{whom}");
    match icmp {
        Some(((kind, code), from)) => {
            assert_eq!(finding["icmp"]["type"], kind, "{whom}");
            assert_eq!(finding["icmp"]["code"], code, "{whom}");
            assert_eq!(finding["icmp"]["from"], from, "{whom}");
            assert_eq!(finding["origin"], "icmp", "{whom}");
        }
        None => assert_eq!(finding["icmp"], Value::Null, "{whom}"),
    }
    // 5 s or 1 s, and what a busy machine takes to look at the clock.
    assert!(finding["after_ns"].as_u64().unwrap() < 5_500_000_000, "{whom}");
    assert!(finding["explanation"].as_str().unwrap().len() > 40, "{whom}");
    // The textbook's socket never hears of an ICMP error.
    if finding["protocol"] == "udp" && icmp.is_some() {
        assert_eq!(finding["unconnected"]["result"], "timeout", "{whom}");
    }
}

/// What single rows have to tell beyond the condition.
fn details(results: &[Value]) {
    for version in [4, 6] {
        let of = |name: &str, protocol| finding(results, name, version, protocol);
        for (name, server) in
            [("an echo server of ours", "echo-rtt"), ("a plain echo server", "plain")]
        {
            for protocol in ["udp", "tcp"] {
                assert_eq!(of(name, protocol)["server"], server);
            }
            assert_eq!(result(results, name, version)["status"], 0);
            assert_eq!(of(name, "udp")["unconnected"]["result"], "reply");
        }
        assert_eq!(result(results, "a closed port", version)["status"], 1);
        let swallowed = "a firewall that swallows requests";
        // At 0, 1, and (the back-off) 2 or 3 s at least.
        let requests = of(swallowed, "tcp")["detail"].as_str().unwrap();
        let count: u32 = requests.split(' ').next().unwrap().parse().unwrap();
        assert!(count >= 3 && requests.contains("connection requests, at 0.0, 1."), "{requests}");
        assert_eq!(of(swallowed, "udp")["sent"], 3);
        assert!(of("a server that is mute", "tcp")["connect_ns"].is_u64());
        let garbage = of("a server that answers garbage", "tcp")["reply"].as_str().unwrap();
        assert!(garbage.starts_with("220 mail.example \u{1b}"), "{garbage}");
        let half = of("a server that closes amid its answer", "tcp")["detail"].as_str().unwrap();
        assert!(half.starts_with("after 34 of the reply's 68"), "{half}");
        let early = of("the same, with a time-out of 1 s", "udp");
        assert!(early["after_ns"].as_u64().unwrap() < 1_500_000_000, "{early}");
        assert!(early["detail"].as_str().unwrap().contains("has not answered"), "{early}");
        for (name, origin) in [
            ("no route from the client", "this-host"),
            ("a route that prohibits, on the client", "this-host"),
            ("a server that resets", "peer"),
            ("a server that closes", "peer"),
            ("a closed port", "peer"),
            ("a firewall that sends a TCP reset", "peer"),
        ] {
            assert_eq!(of(name, "tcp")["origin"], origin, "{name}");
        }
        assert_eq!(of("a local rule that drops what leaves", "udp")["origin"], "this-host");
        // Whose word it is said to be.
        for protocol in ["udp", "tcp"] {
            for (name, told) in [
                (
                    "a host that is down, on the client's link",
                    "on this host's own link, no host answers",
                ),
                ("the same, with a time-out of 1 s", "on this host's own link, no host answers"),
                ("a host that is down, behind a router", "a host on the path, could not reach"),
                ("a routing loop", "hop limit reached zero: a routing loop"),
                ("no route from the client", "this host has no route to the address"),
                ("no route from the router", "a host on the path, has no route to the address"),
                ("a route that prohibits, on the client", "a route of type `prohibit`"),
            ] {
                let explanation = of(name, protocol)["explanation"].as_str().unwrap();
                assert!(explanation.contains(told), "{name}, {protocol}: {explanation}");
            }
        }
    }
}

const HEADER: &str = "| what is there | over | condition | who said so | error | an unconnected socket sees |\n\
                      |---|---|---|---|---|---|";

/// A row of the documentation's table, of what does not differ from run to run.
fn in_words(name: &str, finding: &Value) -> String {
    let protocol = finding["protocol"].as_str().unwrap().to_uppercase();
    let condition = finding["condition"].as_str().unwrap();
    let icmp = &finding["icmp"];
    let said = match finding["origin"].as_str() {
        Some("icmp") => format!(
            "{} {}/{} from {}",
            if icmp["from"].as_str().unwrap().contains(':') { "ICMPv6" } else { "ICMP" },
            icmp["type"],
            icmp["code"],
            host(icmp["from"].as_str().unwrap())
        ),
        Some("this-host") => "this host".into(),
        Some("peer") => "whoever answers there".into(),
        _ => "nobody".into(),
    };
    let error = finding["errno"].as_i64().map_or_else(String::new, |errno| {
        format!("{:?}", nix::errno::Errno::from_raw(i32::try_from(errno).unwrap()))
    });
    let unconnected = finding["unconnected"]["result"].as_str().unwrap_or("");
    format!("| {name} | {protocol} | `{condition}` | {said} | {error} | {unconnected} |")
}

fn host(address: &str) -> &'static str {
    let named = [("the client", CLIENT), ("the router", ROUTER), ("the server", SERVER)];
    let found = named.into_iter().find(|(_, addresses)| addresses.contains(&address));
    found.unwrap_or_else(|| panic!("{address} is nobody's")).0
}

/// The table that the documentation has; with `UPDATE_DOCS`, it gets this one.
fn documented(table: &str) -> String {
    const BEGIN: &str = "<!-- seen: begin -->\n\n";
    const END: &str = "<!-- seen: end -->";
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/absent-servers.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (seen, behind) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_none() {
        return seen.to_owned();
    }
    std::fs::write(&file, format!("{before}{BEGIN}{table}{END}{behind}")).unwrap();
    table.to_owned()
}
