//! Handshakes as exchanges on a path with a known delay: a comparison with other programs and with ICMP.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use serde_json::{Value, json};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The RTT of the path without the time in the hosts: 2.5 ms in each direction.
const PATH_NS: f64 = 5e6;

/// The number of rounds. A busy machine delays some packets of each program, and it never makes a handshake faster. So the test
/// compares the handshakes of many rounds that had no delay.
const ROUNDS: usize = 10;

/// The lab with an HTTP server. `curl` measures its handshakes.
fn scenario() -> Value {
    let server = ["python3", "-u", "-m", "http.server", "7777", "--bind", "10.77.0.2"];
    json!({"delay_ms": 2.5, "punctual": true, "server": server})
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

/// Runs three programs in turns, as often as the second argument demands. `curl` prints the times of the name look-up and of the connection, in seconds
/// since its start.
const IN_TURNS: &str = "
for round in $(seq $2); do
    echo round:
    $0 tcp 10.77.0.2:7777 --connect-only -c 20 -i 20ms --format json
    python3 -c \"$1\"
    for number in $(seq 10); do
        curl -s -o /dev/null -w 'curl: %{time_namelookup} %{time_connect}\\n' http://10.77.0.2:7777/absent
    done
done";

/// The time of the undisturbed handshakes: the tenth percentile.
fn undisturbed(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 10]
}

#[test]
fn undisturbed_handshakes_agree_with_python_and_curl() {
    if !network::is_possible("curl --version") {
        return;
    }
    let command = ["sh", "-c", IN_TURNS, CLIENT, PYTHON, &ROUNDS.to_string()];
    let Some(lab) = network::run(&scenario(), &command) else { return };
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
    let counts = [client.len(), python.len(), curl.len()];
    assert_eq!(counts, [20 * ROUNDS, 20 * ROUNDS, 10 * ROUNDS], "{lab}");
    let [client, python, curl] = [client, python, curl].map(undisturbed);
    eprintln!("client {client}, Python {python}, curl {curl}");
    assert!(client >= PATH_NS, "2.5 ms in each direction: {client}");
    for other in [python, curl] {
        assert!((client - other).abs() <= other / 20.0, "{client} {python} {curl}");
    }
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
        "400",
    ];
    let json = [&command[..], &["-q", "--format", "json"]].concat();
    let Some(lab) = network::run(&scenario(), &json) else { return };
    let verdict = lab["out"].as_str().unwrap().lines().last().unwrap();
    let verdict: Value = serde_json::from_str(verdict).unwrap();
    assert_eq!((&lab["status"], &verdict["pairs"]), (&json!(0), &json!(400)), "{lab}");
    let medians = [0, 1].map(|side| verdict["sides"][side]["rtt_ns"]["p50"].as_f64().unwrap());
    assert!(medians.iter().all(|median| *median >= PATH_NS), "{medians:?}");
    // Both kernels reply without a program. The rest of the difference is the work of the kernels. It is the median of the
    // differences within the pairs, so a load of the machine affects both sides.
    let difference = verdict["difference_ns"]["estimate"].as_f64().unwrap();
    assert!(difference.abs() <= PATH_NS / 20.0, "{difference} ns: {verdict}");
}
