//! Handshakes as exchanges (`--connect-only`): established, refused, without an answer, in series, comparisons and diagnoses.

mod scripted;

use rtt_client::report::{Json, JsonConfig};
use rtt_client::{
    ComparisonPlan, ComparisonSettings, Content, DiagnosisPlan, Lifetime, Plan, PlanError,
    Settings, compare, diagnose, protocol_named,
};
use scripted::{at_rate, back_to_back, counts, raw_udp_server, series};
use serde_json::Value;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

static NO_STOP: AtomicBool = AtomicBool::new(false);

/// The same settings for handshakes.
fn handshakes(mut settings: Settings) -> Settings {
    settings.content = Content::Handshake;
    settings
}

/// A listener that accepts no connection. Its kernel completes the handshakes.
fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// An address on which no process listens.
fn closed_port() -> String {
    listener().1
}

fn events_of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

#[test]
fn each_exchange_is_the_handshake_of_one_connection_without_data() {
    const COUNT: u64 = 50;
    let (listener, address) = listener();
    let server = thread::spawn(move || {
        for _ in 0..COUNT {
            let (mut stream, _) = listener.accept().unwrap();
            assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "the client sends nothing");
        }
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let (summary, events) = series("tcp", &address, handshakes(back_to_back(COUNT)));
    assert_eq!(counts(&summary, ["sent", "received"]), [COUNT, COUNT]);
    assert_eq!((&summary["protocol"], &summary["connect_only"]), (&"tcp".into(), &true.into()));
    assert!(summary["rtt_ns"]["p50"].is_u64() && summary.get("connect_ns").is_none(), "{summary}");
    assert!(events_of(&events, "connection").is_empty());
    let start = &events[0];
    assert_eq!((&start["connect_only"], &start["local"]), (&true.into(), &"127.0.0.1".into()));
    for exchange in events_of(&events, "exchange") {
        assert_eq!(exchange["outcome"], "reply");
        if cfg!(all(target_os = "linux", not(portable))) {
            assert_eq!(exchange["retransmitted"], 0);
        }
    }
    let listener = server.join().unwrap();
    assert!(listener.accept().is_err(), "there is no further connection");
}

#[test]
fn refused_handshake_ends_the_series_after_one_request() {
    let (summary, events) = series("tcp", &closed_port(), handshakes(back_to_back(100)));
    assert_eq!(counts(&summary, ["sent", "received", "lost"]), [1, 0, 1]);
    let exchange = events_of(&events, "exchange")[0];
    assert_eq!(
        (&exchange["outcome"], &exchange["condition"]),
        (&"error".into(), &"refused".into())
    );
}

#[test]
fn handshakes_at_a_fixed_rate_have_exact_counts() {
    let (_listener, address) = listener();
    let (summary, _) = series("tcp", &address, handshakes(at_rate(100, 500.0)));
    assert_eq!(counts(&summary, ["sent", "received", "lost", "duplicates"]), [100, 100, 0, 0]);
    assert!(summary["rtt_from_schedule_ns"]["p50"].is_u64(), "{summary}");
}

/// A listener whose queue of new connections is full: the kernel drops each SYN.
#[cfg(target_os = "linux")]
mod full_queue {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::net::{SocketAddr, TcpStream};

    /// A listener with the shortest queue of new connections.
    fn short_queue() -> (Socket, SocketAddr) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        (listener, address)
    }

    fn listener() -> (Socket, TcpStream, String) {
        let (listener, address) = short_queue();
        (listener, TcpStream::connect(address).unwrap(), address.to_string())
    }

    /// A server with a short queue that accepts a connection each 2 ms.
    fn slow_server() -> String {
        let (listener, address) = short_queue();
        thread::spawn(move || {
            while listener.accept().is_ok() {
                thread::sleep(Duration::from_millis(2));
            }
        });
        address.to_string()
    }

    /// The portable code does not know which segments the kernel sent again.
    const REPORTS_RETRANSMISSIONS: bool = cfg!(not(portable));

    /// The notes of the last event, as one text.
    fn notes(events: &[Value]) -> String {
        let notes = events.last().unwrap()["notes"].as_array().cloned().unwrap_or_default();
        notes.iter().map(|note| note.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn comparison_that_overloads_a_server_has_pairs_and_a_note() {
        let [fast, slow] =
            [accepting_server(), slow_server()].map(|address| format!("tcp://{address}"));
        // Without a number of pairs, the time is limited. The kernel repeats a SYN after a second.
        let events = comparison(&fast, &slow, None, Duration::ZERO);
        let verdict = events.last().unwrap();
        assert!(verdict["pairs"].as_u64().unwrap() >= 1, "{verdict}");
        let notes = notes(&events);
        let has_note = notes.contains("B: in ") && notes.contains("-i 10ms");
        assert_eq!(has_note, REPORTS_RETRANSMISSIONS, "{notes}");
        assert!(!notes.contains("A: in "), "{notes}");
    }

    #[test]
    fn interval_of_a_comparison_prevents_an_overload_also_in_the_warm_up() {
        let [fast, slow] =
            [accepting_server(), slow_server()].map(|address| format!("tcp://{address}"));
        let events = comparison(&fast, &slow, Some(10), Duration::from_millis(20));
        let verdict = events.last().unwrap();
        assert_eq!((&verdict["pairs"], notes(&events).as_str()), (&10.into(), ""), "{verdict}");
    }

    #[test]
    fn series_that_overloads_a_server_has_a_note_with_a_longer_interval() {
        let settings = Settings { timeout: Duration::from_secs(5), ..back_to_back(8) };
        let (summary, events) = series("tcp", &slow_server(), handshakes(settings));
        assert_eq!(counts(&summary, ["received"]), [8], "{summary}");
        let events = [events, vec![summary]].concat();
        let notes = notes(&events);
        let has_note = notes.contains("sent again") && notes.contains("-i 10ms");
        assert_eq!(has_note, REPORTS_RETRANSMISSIONS, "{notes}");
    }

    #[test]
    fn hundreds_of_handshakes_in_flight_are_lost_after_their_timeouts() {
        let (_listener, _stream, address) = listener();
        let settings = Settings { timeout: Duration::from_millis(400), ..at_rate(300, 1000.0) };
        let (summary, events) = series("tcp", &address, handshakes(settings));
        assert_eq!(counts(&summary, ["sent", "received", "lost", "late"]), [300, 0, 300, 0]);
        for exchange in events_of(&events, "exchange") {
            assert_eq!(
                (&exchange["outcome"], &exchange["condition"]),
                (&"lost".into(), &"silent".into())
            );
        }
        // One after another, these handshakes would take two minutes.
        assert!(summary["duration_ns"].as_u64().unwrap() < 20_000_000_000, "{summary}");
    }

    /// Runs the client with at most 40 descriptors. Returns its events.
    fn run_with_few_descriptors(arguments: &[&str]) -> Vec<Value> {
        let output = Command::new("sh")
            .args(["-c", "exec 3>&- 4>&- 5>&-; ulimit -n 40; exec \"$0\" \"$@\"", CLIENT])
            .args(arguments)
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(!out.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    // Without error numbers, the client cannot distinguish this error from others.
    #[cfg(not(portable))]
    #[test]
    fn missing_descriptors_are_a_limit_of_this_host() {
        let (_listener, _stream, address) = listener();
        let arguments = [
            "tcp",
            &address,
            "--connect-only",
            "-c",
            "100",
            "--rate",
            "1000",
            "-W",
            "2",
            "--format",
            "json",
        ];
        let events = run_with_few_descriptors(&arguments);
        let count = |condition: &str| {
            let exchanges = events_of(&events, "exchange").into_iter();
            exchanges.filter(|event| event["condition"] == condition).count()
        };
        let (silent, limit) = (count("silent"), count("local-limit"));
        assert_eq!(silent + limit, 100, "{events:?}");
        assert!((1..40).contains(&silent), "{silent}");
        let place = &events.last().unwrap()["lost_where"];
        assert_eq!((&place["send-queue"], &place["unknown"]), (&limit.into(), &silent.into()));
    }

    #[test]
    fn handshakes_leave_no_descriptors() {
        let address = accepting_server();
        let arguments =
            ["tcp", &address, "--connect-only", "-c", "200", "-i", "0", "--format", "json"];
        let events = run_with_few_descriptors(&arguments);
        assert_eq!(events.last().unwrap()["received"], 200, "{events:?}");
    }
}

fn plan(protocol: &str, settings: Settings) -> Result<Plan, PlanError> {
    Plan::new(protocol_named(protocol).unwrap(), "host".parse().unwrap(), handshakes(settings))
}

#[test]
fn settings_that_handshakes_do_not_have_are_rejected() {
    let series = || Settings::series(1);
    assert_eq!(plan("tcp", series()).unwrap().url(), "tcp://host:12000");
    for protocol in ["udp", "icmp"] {
        let error = plan(protocol, series()).unwrap_err();
        assert!(matches!(error, PlanError::HasNoHandshake { .. }), "{error}");
    }
    let error = plan("tcp", Settings { breakdown: true, ..series() }).unwrap_err();
    assert!(error.to_string().contains("the kernel takes no timestamps"), "{error}");
    let error = plan("tcp", Settings { lifetime: Lifetime::Each, ..series() }).unwrap_err();
    assert_eq!(error, PlanError::HandshakeWithLifetime);
}

#[test]
fn command_lines_that_handshakes_do_not_have_are_rejected() {
    for arguments in [
        "tcp 127.0.0.1 hello --connect-only",
        "tcp 127.0.0.1 --connect-only -s 100",
        "tcp 127.0.0.1 --connect-only --connection each",
        "tcp 127.0.0.1 --connect-only --breakdown",
        "udp 127.0.0.1 --connect-only",
        "icmp 127.0.0.1 --connect-only",
        "compare udp://127.0.0.1 icmp://127.0.0.1 --connect-only",
        "compare 127.0.0.1 --connect-only --sweep",
        "diagnose udp://127.0.0.1 --connect-only",
        "trace 127.0.0.1 --connect-only",
    ] {
        let output = Command::new(CLIENT).args(arguments.split(' ')).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {error}");
        assert!(output.stdout.is_empty() && !error.is_empty(), "{arguments}");
    }
}

#[test]
fn text_of_one_handshake_has_its_two_events() {
    let (_listener, address) = listener();
    let output = Command::new(CLIENT).args(["tcp", &address, "--connect-only"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with(&format!("TCP handshake to {address} from 127.0.0.1\n")), "{text}");
    assert!(text.contains("(connection requested → connection established)"), "{text}");
    assert!(!text.contains("reply") && !text.contains("request sent"), "{text}");
    let output =
        Command::new(CLIENT).args(["tcp", &closed_port(), "--connect-only"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("rtt-client: TCP handshake 127.0.0.1:"), "{error}");
    assert!(error.contains(" refused") && error.lines().count() == 1, "{error}");
}

/// Runs a comparison of handshakes. Returns its events.
fn comparison(a: &str, b: &str, pairs: Option<u64>, interval: Duration) -> Vec<Value> {
    let settings = ComparisonSettings {
        each: handshakes(Settings {
            timeout: Duration::from_secs(2),
            interval,
            ..Settings::one("")
        }),
        pairs,
        duration: None,
        seed: 42,
        confidence: 0.95,
        sweep: false,
    };
    let plan =
        ComparisonPlan::new(&a.parse().unwrap(), Some(&b.parse().unwrap()), &settings).unwrap();
    let mut lines = Vec::new();
    compare(&plan, &mut Json::new(&mut lines, JsonConfig::default()), &NO_STOP).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A server that accepts connections and closes them.
fn accepting_server() -> String {
    let (listener, address) = listener();
    thread::spawn(move || while listener.accept().is_ok() {});
    address
}

#[test]
fn comparison_with_handshakes_has_only_causes_that_describe_handshakes() {
    let [one, other] = [(); 2].map(|()| format!("tcp://{}", accepting_server()));
    let udp = format!("udp://{}", raw_udp_server(|reply, send| send(&reply)));
    for (a, b, sides_with_handshakes) in [(&one, &other, 2), (&udp, &other, 1)] {
        let events = comparison(a, b, Some(40), Duration::ZERO);
        let starts = events_of(&events, "start");
        let with_handshakes = starts.iter().filter(|start| start["connect_only"] == true).count();
        assert_eq!(with_handshakes, sides_with_handshakes);
        let verdict = events.last().unwrap();
        assert_eq!(verdict["pairs"], 40, "{verdict}");
        let causes = verdict["causes"].as_array().unwrap();
        for cause in causes {
            assert!(
                ["server-kernel", "retransmission"].contains(&cause["cause"].as_str().unwrap()),
                "{cause}"
            );
        }
        assert_eq!(
            causes.iter().filter(|cause| cause["cause"] == "server-kernel").count(),
            sides_with_handshakes
        );
        assert!(verdict["claims"].as_array().is_none_or(Vec::is_empty), "{verdict}");
        assert!(!verdict.to_string().contains("timestamps"), "{verdict}");
    }
}

/// The findings of a diagnosis of handshakes with `target`, and whether a server answers.
fn diagnosis(target: &str) -> (Vec<Value>, bool) {
    let settings = handshakes(Settings { timeout: Duration::from_secs(2), ..Settings::one("") });
    let plan = DiagnosisPlan::new(&target.parse().unwrap(), &settings).unwrap();
    let mut lines = Vec::new();
    let is_answering =
        diagnose(&plan, &mut Json::new(&mut lines, JsonConfig::default()), &NO_STOP).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (events.into_iter().filter(|event| event["type"] == "finding").collect(), is_answering)
}

#[test]
fn diagnosis_reports_whether_a_server_accepts_connections() {
    let (_listener, address) = listener();
    for target in [format!("tcp://{address}"), address] {
        let (findings, is_answering) = diagnosis(&target);
        assert!(is_answering);
        assert_eq!(findings.len(), 1, "only TCP has handshakes: {findings:?}");
        assert_eq!(
            (&findings[0]["condition"], &findings[0]["sent"]),
            (&"answering".into(), &1.into())
        );
        let explanation = findings[0]["explanation"].as_str().unwrap();
        assert!(explanation.starts_with("a server accepts connections"), "{explanation}");
        assert!(findings[0].get("server").is_none(), "{findings:?}");
    }
    let (findings, is_answering) = diagnosis(&format!("tcp://{}", closed_port()));
    assert!(!is_answering);
    assert_eq!(findings[0]["condition"], "refused");
}
