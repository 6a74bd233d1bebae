//! Comparisons with servers in this process: the verdict, its causes and claims, and servers that do not answer.

use rtt_client::report::{Csv, Json, JsonConfig, Text, TextConfig};
use rtt_client::{
    ComparisonPlan, ComparisonProgress, ComparisonSettings, ComparisonStage, Content, Event,
    Report, Settings, compare,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

/// Starts a UDP server that answers after `delay`. If `drops` returns true for the number of a request, the server
/// does not answer this request.
fn udp_server(delay: Duration, drops: fn(u64) -> bool) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", socket.local_addr().unwrap());
    thread::spawn(move || {
        let mut text = vec![0; 65_536];
        let mut number = 0;
        while let Ok((length, client)) = socket.recv_from(&mut text) {
            number += 1;
            thread::sleep(delay);
            text[..length].make_ascii_uppercase();
            if !drops(number) {
                socket.send_to(&text[..length], client).unwrap();
            }
        }
    });
    address
}

/// Whether a TCP server keeps a connection after a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterReply {
    Keep,
    Close,
}

/// Starts a TCP server that answers each read.
fn tcp_server(after_reply: AfterReply) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut text = vec![0; 65_536];
                while let Ok(length @ 1..) = stream.read(&mut text) {
                    text[..length].make_ascii_uppercase();
                    if stream.write_all(&text[..length]).is_err()
                        || after_reply == AfterReply::Close
                    {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn never(_: u64) -> bool {
    false
}

fn settings(pairs: u64) -> ComparisonSettings {
    let each = Settings {
        timeout: Duration::from_millis(300),
        content: Content::Sized(None),
        ..Settings::one("")
    };
    ComparisonSettings {
        each,
        pairs: Some(pairs),
        duration: None,
        seed: 42,
        confidence: 0.95,
        sweep: false,
    }
}

fn run(a: &str, b: &str, settings: &ComparisonSettings, report: &mut dyn Report) {
    let comparison =
        ComparisonPlan::new(&a.parse().unwrap(), Some(&b.parse().unwrap()), settings).unwrap();
    compare(&comparison, report, &AtomicBool::new(false)).unwrap();
}

/// Runs a comparison. Returns the verdict, and all events before the verdict.
fn events(a: &str, b: &str, settings: &ComparisonSettings) -> (Value, Vec<Value>) {
    let mut lines = Vec::new();
    run(a, b, settings, &mut Json::new(&mut lines, JsonConfig::default()));
    let mut events: Vec<Value> = lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let verdict = events.pop().unwrap();
    assert_eq!(verdict["type"], "verdict");
    (verdict, events)
}

fn cause<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    let mut causes = verdict["causes"].as_array().unwrap().iter();
    causes.find(|cause| cause["cause"] == name).unwrap_or_else(|| panic!("{name} in {verdict}"))
}

#[test]
fn slower_server_is_detected() {
    let slow = udp_server(Duration::from_millis(2), never);
    // With 300 pairs, the comparison has a verdict even if other processes disturb the host for a while.
    let (verdict, events) = events(&udp_server(Duration::ZERO, never), &slow, &settings(300));
    let protocols: Vec<_> =
        verdict["sides"].as_array().unwrap().iter().map(|side| &side["protocol"]).collect();
    assert_eq!(protocols, ["udp", "udp"]);
    assert_eq!((&verdict["higher"], &verdict["pairs"]), (&"b".into(), &300.into()), "{verdict}");
    let difference = |name: &str| verdict["difference_ns"][name].as_i64().unwrap();
    assert!(difference("low") > 1_500_000, "{verdict}");
    assert!(difference("low") <= difference("estimate"));
    assert!(difference("estimate") <= difference("high"));
    assert!(verdict["probability_b_higher"].as_f64().unwrap() > 0.9);
    assert!(verdict["sentence"].as_str().unwrap().starts_with("B takes "));
    // Neither side has connections.
    assert_eq!(verdict["with_connection"], Value::Null);
    let starts: Vec<_> = events.iter().filter(|event| event["type"] == "start").collect();
    assert_eq!((&starts[0]["side"], &starts[1]["side"]), (&"a".into(), &"b".into()));
    let pairs: Vec<_> = events.iter().filter(|event| event["type"] == "pair").collect();
    assert_eq!(pairs.len(), 300);
    for pair in pairs {
        let time = |name: &str| pair[name].as_i64().unwrap();
        assert_eq!(time("difference_ns"), time("b_rtt_ns") - time("a_rtt_ns"));
    }
}

#[test]
fn same_seed_gives_the_same_order() {
    let (a, b) = (udp_server(Duration::ZERO, never), udp_server(Duration::ZERO, never));
    let order = |seed| {
        let (_, events) = events(&a, &b, &ComparisonSettings { seed, ..settings(60) });
        let first = |event: &Value| event["first"].as_str().map(str::to_owned);
        events.iter().filter_map(first).collect::<Vec<String>>()
    };
    let order_of_one = order(1);
    assert_eq!(order_of_one, order(1));
    assert_ne!(order_of_one, order(2));
    assert!(
        order_of_one.iter().any(|first| first == "a")
            && order_of_one.iter().any(|first| first == "b")
    );
}

#[test]
fn comparison_of_udp_and_tcp_has_causes_and_claims() {
    let (verdict, _) =
        events(&udp_server(Duration::ZERO, never), &tcp_server(AfterReply::Keep), &settings(100));
    assert!(
        cause(&verdict, "handshake")["share_ns"]["estimate"].as_i64().unwrap() > 0,
        "{verdict}"
    );
    assert_eq!(verdict["with_connection"]["pairs"], 100);
    assert_eq!(verdict["claims"].as_array().unwrap().len(), 4);
    let two_writes = &cause(&verdict, "nagle-and-delayed-acknowledgement")["evidence"];
    // This server does not support our timing header, so the client divides no character between two writes. Half a
    // character can crash such a server.
    assert!(!two_writes.as_str().unwrap().contains("inside a character"), "{two_writes}");
    #[cfg(all(target_os = "linux", not(portable)))]
    {
        assert_eq!(verdict["claims"][0]["holds"], false, "{verdict}");
        assert_eq!(cause(&verdict, "retransmission")["share_ns"]["estimate"], 0);
        for part in ["send", "network-and-server", "receive"] {
            assert!(cause(&verdict, part)["share_ns"]["estimate"].is_i64(), "{verdict}");
        }
        let packets = cause(&verdict, "packets")["evidence"].as_str().unwrap();
        assert!(
            packets.contains("UDP sent 1 and received 1 packet for each exchange."),
            "{packets}"
        );
        assert!(
            packets.contains("TCP sent 1 and received 1 packet for each exchange."),
            "{packets}"
        );
        for bytes in ["56 bytes of headers (IP and UDP)", "104 bytes of headers (IP and TCP)"] {
            let expected = format!("288 bytes of payload and {bytes}");
            assert!(packets.contains(&expected), "{packets}");
        }
    }
    #[cfg(not(all(target_os = "linux", not(portable))))]
    for name in ["breakdown", "windows", "retransmission"] {
        let evidence = cause(&verdict, name)["evidence"].as_str().unwrap();
        assert!(evidence.starts_with("Not measured: "), "{evidence}");
    }
}

/// Counts how often each experiment of a protocol starts.
#[derive(Default)]
struct ExperimentCounter(BTreeMap<&'static str, u32>);

impl Report for ExperimentCounter {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Event::ComparisonProgress(ComparisonProgress {
            stage: ComparisonStage::Experiment { name },
            ..
        }) = event
        {
            *self.0.entry(name).or_default() += 1;
        }
        Ok(())
    }
}

#[test]
fn experiments_run_for_each_side_unless_their_result_is_the_same_for_every_target() {
    let udp = || udp_server(Duration::ZERO, never);
    let tcp = || tcp_server(AfterReply::Keep);
    let experiments = |a: &str, b: &str| {
        let mut counter = ExperimentCounter::default();
        run(a, b, &settings(10), &mut counter);
        counter.0.into_iter().collect::<Vec<_>>()
    };
    let (closed_port, two_writes) = ("datagrams to a closed port", "requests in two writes");
    assert_eq!(experiments(&udp(), &udp()), [(closed_port, 1)]);
    assert_eq!(experiments(&tcp(), &tcp()), [(two_writes, 2)]);
    assert_eq!(experiments(&tcp(), &udp()), [(closed_port, 1), (two_writes, 1)]);
}

#[test]
fn comparison_of_one_protocol_has_only_the_claims_about_it() {
    let udp = || udp_server(Duration::ZERO, never);
    let (verdict, _) = events(&udp(), &udp(), &settings(10));
    let claims: Vec<&str> = verdict["claims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|claim| claim["claim"].as_str().unwrap())
        .collect();
    // The claim about acknowledgements needs a reliable protocol at the other side.
    assert_eq!(claims.len(), 1, "{claims:?}");
    assert!(claims.iter().all(|claim| claim.contains("UDP")), "{claims:?}");
    let evidence = verdict["claims"][0]["evidence"].as_str().unwrap();
    assert!(evidence.contains("a connected socket received an error after "), "{evidence}");
}

#[test]
fn comparison_accepts_a_server_that_closes_after_each_reply() {
    let (verdict, _) =
        events(&udp_server(Duration::ZERO, never), &tcp_server(AfterReply::Close), &settings(50));
    assert_eq!(verdict["pairs"], 50, "{verdict}");
    assert_eq!(verdict["sides"][1]["received"], 50);
    let two_writes =
        cause(&verdict, "nagle-and-delayed-acknowledgement")["evidence"].as_str().unwrap();
    assert!(two_writes.contains("not measured: "), "{two_writes}");
}

#[test]
fn pairs_with_losses_are_ignored_and_noted() {
    // The server answers all requests of the warm-up.
    let lossy = udp_server(Duration::ZERO, |number| number > 25 && number % 10 == 0);
    let (verdict, _) = events(&lossy, &udp_server(Duration::ZERO, never), &settings(30));
    let lost = verdict["sides"][0]["lost"].as_u64().unwrap();
    assert!(lost > 0, "{verdict}");
    assert_eq!(verdict["pairs"].as_u64().unwrap(), 30 - lost);
    let note = verdict["notes"][0].as_str().unwrap();
    assert!(
        note.contains(&format!("{lost} of 30 exchanges with A have no correct reply")),
        "{note}"
    );
}

#[test]
fn absent_server_is_the_reason_for_no_verdict() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let absent = format!("tcp://127.0.0.1:{closed}");
    let (verdict, _) = events(&udp_server(Duration::ZERO, never), &absent, &settings(30));
    assert_eq!((&verdict["pairs"], &verdict["higher"]), (&0.into(), &Value::Null));
    assert_eq!(verdict["difference_ns"], Value::Null);
    assert_eq!(verdict["sides"][1]["condition"], "refused", "{verdict}");
    assert!(verdict["sentence"].as_str().unwrap().contains("refused"), "{verdict}");
}

#[test]
fn silent_server_ends_the_comparison_early() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = format!("udp://{}", silent.local_addr().unwrap());
    let dropping = udp_server(Duration::ZERO, |_| true);
    for server in [silent, dropping] {
        let (verdict, _) = events(&udp_server(Duration::ZERO, never), &server, &settings(1000));
        assert_eq!(verdict["pairs"], 0, "{verdict}");
        assert!(verdict["duration_ns"].as_u64().unwrap() < 10_000_000_000, "{verdict}");
    }
}

#[test]
fn sweep_measures_all_sizes() {
    let settings = ComparisonSettings { sweep: true, ..settings(30) };
    let (verdict, _) =
        events(&udp_server(Duration::ZERO, never), &tcp_server(AfterReply::Keep), &settings);
    let sizes = verdict["sizes"].as_array().unwrap();
    let bytes: Vec<u64> = sizes.iter().map(|size| size["bytes"].as_u64().unwrap()).collect();
    assert_eq!(bytes.first(), Some(&16), "{verdict}");
    assert_eq!(bytes.last(), Some(&65_507), "{verdict}");
    assert!(cause(&verdict, "payload-size")["share_ns"]["estimate"].is_i64(), "{verdict}");
}

#[test]
fn csv_has_one_row_for_each_pair() {
    let mut table = Vec::new();
    let (a, b) = (udp_server(Duration::ZERO, never), udp_server(Duration::ZERO, never));
    run(&a, &b, &settings(12), &mut Csv::new(&mut table));
    let table = String::from_utf8(table).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!((rows[0], rows.len()), ("pair,first,a_rtt_ns,b_rtt_ns,difference_ns", 13));
    assert!(rows[1..].iter().all(|row| row.split(',').count() == 5));
}

#[test]
fn text_starts_with_the_verdict_and_fits_80_columns() {
    let (mut text, mut errors) = (Vec::new(), Vec::new());
    let config = TextConfig::default();
    let (a, b) = (udp_server(Duration::ZERO, never), tcp_server(AfterReply::Keep));
    run(&a, &b, &settings(100), &mut Text::new(&mut text, &mut errors, config));
    let text = String::from_utf8(text).unwrap();
    let first = text.lines().next().unwrap_or_default();
    assert!(first.contains(" takes ") || first.starts_with("No "), "{text}");
    for part in [
        "A  UDP",
        "B  TCP",
        "(--seed 42)",
        "p99",
        "Where the difference comes from",
        "Common claims",
        "refuted",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert_eq!(String::from_utf8(errors).unwrap(), "");
}
