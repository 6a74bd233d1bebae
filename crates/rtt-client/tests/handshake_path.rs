//! Handshakes as exchanges on a path with a known delay: a comparison with other programs and with ICMP.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use serde_json::{Value, json};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The RTT of the path without the time in the hosts: 2.5 ms in each direction.
const PATH_NS: f64 = 5e6;

/// The maximum number of attempts. A busy machine delays the packets of one program more than those of the other one. A
/// wrong measurement differs in each attempt.
const ATTEMPTS: usize = 5;

/// The lab with an HTTP server. `curl` measures its handshakes.
fn scenario() -> Value {
    let server = ["python3", "-u", "-m", "http.server", "7777", "--bind", "10.77.0.2"];
    json!({"delay_ms": 2.5, "punctual": true, "server": server})
}

/// The median of the values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures handshakes with Python: the time of `connect`, in nanoseconds.
const PYTHON: &str = "
import socket, time
for number in range(20):
    client = socket.socket()
    start = time.perf_counter_ns()
    client.connect(('10.77.0.2', 7777))
    print('python:', time.perf_counter_ns() - start)
    client.close()
    time.sleep(0.01)
";

/// Runs three programs in turns, four times. `curl` prints the times of the name look-up and of the connection, in seconds
/// since its start.
const IN_TURNS: &str = "
for round in 1 2 3 4; do
    $0 tcp 10.77.0.2:7777 --connect-only -c 20 -i 20ms --format json
    python3 -c \"$1\"
    for number in 1 2 3 4 5 6 7 8 9 10; do
        curl -s -o /dev/null -w 'curl: %{time_namelookup} %{time_connect}\\n' http://10.77.0.2:7777/absent
    done
done";

/// The median handshakes in nanoseconds.
#[derive(Debug)]
struct Medians {
    client: f64,
    python: f64,
    curl: f64,
}

impl Medians {
    /// Whether the medians differ by at most 5 %.
    fn agree(&self) -> bool {
        let is_near = |other: f64| (self.client - other).abs() <= other / 20.0;
        is_near(self.python) && is_near(self.curl)
    }
}

fn measure() -> Option<Medians> {
    let lab = network::run(&scenario(), &["sh", "-c", IN_TURNS, CLIENT, PYTHON])?;
    let out = lab["out"].as_str().unwrap();
    let lines =
        |prefix: &'static str| out.lines().filter_map(move |line| line.strip_prefix(prefix));
    let events = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let client: Vec<f64> = events.filter_map(|event| event["rtt_ns"].as_f64()).collect();
    let python: Vec<f64> = lines("python: ").map(|time| time.parse().unwrap()).collect();
    let curl = lines("curl: ").map(|times| {
        let (look_up, connected) = times.split_once(' ').unwrap();
        (connected.parse::<f64>().unwrap() - look_up.parse::<f64>().unwrap()) * 1e9
    });
    let curl: Vec<f64> = curl.collect();
    assert_eq!((client.len(), python.len(), curl.len()), (80, 80, 40), "{lab}");
    let medians = Medians { client: median(client), python: median(python), curl: median(curl) };
    eprintln!("{medians:?}");
    assert!(medians.client >= PATH_NS, "2.5 ms in each direction: {medians:?}");
    Some(medians)
}

#[test]
fn medians_agree_with_python_and_curl() {
    if !network::is_possible("curl --version") {
        return;
    }
    for _ in 0..ATTEMPTS {
        match measure() {
            None => return,
            Some(medians) if medians.agree() => return,
            Some(_) => {}
        }
    }
    panic!("the medians differ by more than 5 % in each of {ATTEMPTS} attempts");
}

#[test]
fn handshakes_and_echo_requests_have_the_same_path() {
    let command = [
        CLIENT,
        "compare",
        "icmp://10.77.0.2",
        "tcp://10.77.0.2:7777",
        "--connect-only",
        "-c",
        "100",
    ];
    let json = [&command[..], &["-q", "--format", "json"]].concat();
    for attempt in 1..=ATTEMPTS {
        let Some(lab) = network::run(&scenario(), &json) else { return };
        let verdict = lab["out"].as_str().unwrap().lines().last().unwrap();
        let verdict: Value = serde_json::from_str(verdict).unwrap();
        assert_eq!((&lab["status"], &verdict["pairs"]), (&json!(0), &json!(100)), "{lab}");
        let difference = verdict["difference_ns"]["estimate"].as_f64().unwrap();
        let medians = [0, 1].map(|side| verdict["sides"][side]["rtt_ns"]["p50"].as_f64().unwrap());
        eprintln!("{medians:?}, difference {difference}");
        assert!(medians.iter().all(|median| *median >= PATH_NS), "{medians:?}");
        // Both kernels reply without a program. The rest of the difference is the work of the kernels.
        if difference.abs() <= PATH_NS / 20.0 {
            return;
        }
        assert!(attempt < ATTEMPTS, "the difference is more than 5 %: {verdict}");
    }
}
