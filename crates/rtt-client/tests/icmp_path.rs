//! The protocol ICMP on a path with known delay, loss, duplication and reordering, and a comparison with `ping`.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/median.rs"]
mod median;
#[path = "../../../tests/network/lab.rs"]
mod network;

use median::Median;
use network::{is_possible, server};
use serde_json::{Value, json};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// Runs `command` on a path with the rules of `scenario`. The server is idle, because a kernel replies.
fn run_in_lab(mut scenario: Value, command: &[&str]) -> Option<Value> {
    scenario["server"] = json!([server("udp"), "--listen", "10.77.0.2:7777"]);
    network::run(&scenario, command)
}

#[test]
fn client_and_forwarder_have_the_same_counts() {
    const COUNT: u64 = 200;
    let is_dropped = |number| number % 10 == 0;
    let is_duplicated = |number| number % 7 == 0;
    let is_overtaken = |number| number % 11 == 0;
    let scenario =
        json!({"delay_ms": 5, "drop": [10, 0], "double": [7, 0], "overtake": [11, 0, 90]});
    let command = [CLIENT, "icmp", "10.77.0.2", "-q", "--format", "json"];
    let series = ["-c", "200", "--rate", "50", "-W", "400ms"];
    let Some(lab) = run_in_lab(scenario, &[&command[..], &series].concat()) else { return };
    let summary: Value =
        serde_json::from_str(lab["out"].as_str().unwrap().lines().last().unwrap()).unwrap();
    let count = |rule: &dyn Fn(u64) -> bool| (1..=COUNT).filter(|number| rule(*number)).count();
    let lost = count(&is_dropped);
    assert_eq!(lab["injected"]["dropped"], lost);
    for (name, expected) in [
        ("sent", 200),
        ("received", 200 - lost),
        ("lost", lost),
        ("late", 0),
        ("duplicates", count(&|number| is_duplicated(number) && !is_dropped(number))),
        ("out_of_order", count(&|number| is_overtaken(number) && !is_dropped(number))),
        ("corrupt", 0),
        ("unmatched", 0),
    ] {
        assert_eq!(summary[name], expected, "{name} in {summary}");
    }
    let notes = summary["notes"].as_array().unwrap();
    let is_about_rate_limit =
        |note: &Value| note.as_str().unwrap().contains("a router or a host that limits its rate");
    assert!(notes.iter().any(is_about_rate_limit), "{notes:?}");
}

/// A UDP server that works for 500 µs before each reply.
const SLOW_SERVER: &str = "
import socket, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('10.77.0.2', 7777))
print('slow server listening on 10.77.0.2:7777', flush=True)
while True:
    request, client = server.recvfrom(65536)
    end = time.perf_counter() + 500e-6
    while time.perf_counter() < end:
        pass
    server.sendto(request.upper(), client)
";

#[test]
fn comparison_states_how_much_a_slow_server_adds_to_its_kernel() {
    let scenario =
        json!({"delay_ms": 1, "punctual": true, "server": ["python3", "-c", SLOW_SERVER]});
    let [icmp, udp] = ["icmp://10.77.0.2", "udp://10.77.0.2:7777"];
    for (a, b, sign) in [(icmp, udp, 1), (udp, icmp, -1)] {
        let command = [CLIENT, "compare", a, b, "-c", "200", "-q", "--format", "json"];
        let Some(lab) = network::run(&scenario, &command) else { return };
        let verdict = lab["out"].as_str().unwrap().lines().last().unwrap();
        let verdict: Value = serde_json::from_str(verdict).unwrap();
        let mut causes = verdict["causes"].as_array().unwrap().iter();
        let cause = causes.find(|cause| cause["cause"] == "server-program").unwrap();
        let share = sign * cause["share_ns"]["estimate"].as_i64().unwrap();
        eprintln!("{a} and {b}: {cause}");
        // Python needs up to some hundred microseconds in addition to the 500 µs of the loop. On a loaded machine, it also
        // waits for a processor.
        assert!((500_000..10_000_000).contains(&share), "{cause}");
        let evidence = cause["evidence"].as_str().unwrap();
        assert!(evidence.contains("a server program replies to UDP"), "{cause}");
    }
}

/// Runs `ping` and the client in turns, four times. `ping` prints RTTs below 10 ms with a precision of 0.01 ms.
const IN_TURNS: &str = "
for round in 1 2 3 4; do
    ping -U -c 40 -i 0.02 -s 64 10.77.0.2 | sed 's/^/until the program: /'
    $0 icmp 10.77.0.2 -c 40 -i 20ms --format json
    ping -c 40 -i 0.02 -s 64 10.77.0.2 | sed 's/^/until the kernel: /'
    $0 icmp 10.77.0.2 -c 40 -i 20ms --breakdown --format json
done";

#[test]
fn medians_agree_with_ping() {
    if !is_possible("ping -V") {
        return;
    }
    let Some(medians) = measure_like_ping() else { return };
    for medians in medians {
        medians.assert_agree();
    }
}

/// Measures with `ping` and with the client in turns. Returns the medians of the RTTs until the program receives the
/// reply, and of the RTTs until the kernel receives it. `None` if the test is skipped.
fn measure_like_ping() -> Option<[Medians; 2]> {
    let scenario = json!({"delay_ms": 2.5, "punctual": true});
    let lab = run_in_lab(scenario, &["sh", "-c", IN_TURNS, CLIENT])?;
    let out = lab["out"].as_str().unwrap();
    let ping = |prefix: &str| -> Vec<f64> {
        let lines = out.lines().filter_map(|line| line.strip_prefix(prefix));
        let rtts = lines.filter_map(|line| line.split_once("time=")?.1.strip_suffix(" ms"));
        rtts.map(|rtt| rtt.parse::<f64>().unwrap() * 1e6).collect()
    };
    let (mut rtts, mut until_arrival, mut has_breakdown) = (Vec::new(), Vec::new(), false);
    for event in out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let rtt = event["rtt_ns"].as_f64();
        let receive = event["breakdown"]["receive_ns"].as_f64();
        match (event["type"].as_str().unwrap(), rtt, receive) {
            ("start", ..) => has_breakdown = event["arguments"].to_string().contains("--breakdown"),
            ("exchange", Some(rtt), None) if !has_breakdown => rtts.push(rtt),
            ("exchange", Some(rtt), Some(receive)) => until_arrival.push(rtt - receive),
            // The exchange has no breakdown, because the kernel interrupted the program between two clock readings.
            _ => {}
        }
    }
    Some([
        // With the option -U, `ping` measures until the program receives the reply, like the client.
        Medians::of(rtts, ping("until the program: ")),
        // Without options, `ping` measures until the kernel receives the reply.
        Medians::of(until_arrival, ping("until the kernel: ")),
    ])
}

/// The median RTTs of the client and of `ping`.
#[derive(Debug)]
struct Medians {
    client: Median,
    ping: Median,
}

impl Medians {
    fn of(client: Vec<f64>, ping: Vec<f64>) -> Self {
        assert!((150..=160).contains(&client.len()), "{} exchanges", client.len());
        assert_eq!(ping.len(), 160);
        Self { client: Median::of(client).unwrap(), ping: Median::of(ping).unwrap() }
    }

    /// Checks that the intervals of the medians are at most 1 % apart.
    fn assert_agree(&self) {
        eprintln!("{self:?}");
        let Self { client, ping } = self;
        assert!(ping.value >= 5e6, "2.5 ms in each direction: {self:?}");
        assert!(client.distance(ping) <= ping.value / 100.0, "{self:?}");
    }
}
