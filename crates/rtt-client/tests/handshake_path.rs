//! Handshakes as exchanges on a path with a known delay: a comparison with other programs and with ICMP.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use serde_json::{Value, json};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The RTT of the path without the time in the hosts: 2.5 ms in each direction.
const PATH_NS: f64 = 5e6;

/// The number of rounds. A busy machine delays some packets of each program. In most rounds, the medians of the programs have
/// the same delay.
const ROUNDS: usize = 15;

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

/// The median handshakes of one round, in nanoseconds.
#[derive(Debug)]
struct Medians {
    client: f64,
    python: f64,
    curl: f64,
}

/// The medians of a round with this output.
fn medians(out: &str) -> Medians {
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
    assert_eq!((client.len(), python.len(), curl.len()), (20, 20, 10), "{out}");
    Medians { client: median(client), python: median(python), curl: median(curl) }
}

#[test]
fn medians_agree_with_python_and_curl() {
    if !network::is_possible("curl --version") {
        return;
    }
    let command = ["sh", "-c", IN_TURNS, CLIENT, PYTHON, &ROUNDS.to_string()];
    let Some(lab) = network::run(&scenario(), &command) else { return };
    let rounds: Vec<Medians> =
        lab["out"].as_str().unwrap().split("round:\n").skip(1).map(medians).collect();
    assert_eq!(rounds.len(), ROUNDS, "{lab}");
    eprintln!("{rounds:?}");
    assert!(rounds.iter().all(|round| round.client >= PATH_NS), "2.5 ms in each direction");
    for other in [|round: &Medians| round.python, |round: &Medians| round.curl] {
        let difference = median(rounds.iter().map(|round| round.client - other(round)).collect());
        assert!(difference.abs() <= PATH_NS / 20.0, "{difference} ns: {rounds:?}");
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
