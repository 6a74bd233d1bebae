//! `redis-server`, compared with `redis-benchmark`.

use super::agreement::{assert_agree, rtts};
use super::lab::{self, ADDRESS, Path};
use super::loopback::{Running, client, complete_series, is_found};
use super::program::{Ready, Server, arguments};
use std::time::Duration;

const REDIS: Server = Server {
    programs: &["redis-server"],
    command: |place| {
        let (port, directory) = (place.port.to_string(), place.path(""));
        let mut command = arguments(["redis-server", "--port", &port, "--bind", place.ip]);
        // The server stores nothing. The protected mode would reject clients without a password on other hosts.
        command.extend(arguments(["--save", "", "--protected-mode", "no", "--dir", &directory]));
        command
    },
    ready: Ready::Connect,
};

#[test]
fn redis_answers_each_request_on_one_connection() {
    let Some(running) = Running::start(&REDIS) else { return };
    let address = running.address();
    let arguments = ["tcp", &address, "--service", "redis"];
    for schedule in [["-i", "0"], ["--rate", "200"]] {
        let (summary, connections) = complete_series(&[&arguments[..], &schedule].concat(), 100);
        assert_eq!(connections, 1, "{summary}");
        assert!(summary["first_byte_ns"]["p50"].is_u64(), "{summary}");
    }
    let (_, connections) =
        complete_series(&[&arguments[..], &["-i", "0", "--connection", "each"]].concat(), 10);
    assert_eq!(connections, 10);
    let (summary, _) = complete_series(&[&arguments[..], &["-i", "0", "--breakdown"]].concat(), 50);
    assert!(summary["breakdown"]["network_and_server_ns"].is_u64(), "{summary}");
    is_found(&[&format!("tcp://{address}"), "--service", "redis"]);
}

#[test]
fn redis_answers_a_request_of_the_user() {
    let Some(running) = Running::start(&REDIS) else { return };
    let address = running.address();
    let request = [
        "tcp",
        &address,
        "-i",
        "0",
        "--send",
        "ECHO hello\\r\\n",
        "--expect-prefix",
        "$5\\r\\nhello",
    ];
    for end in [&["--reply-ends", "o\\r\\n"][..], &["--reply-bytes", "11"], &[]] {
        complete_series(&[&request[..], end].concat(), 50);
    }
    // Redis closes a connection after an HTTP request, because it can be an attack by a web page.
    let (status, events) = client(&["tcp", &address, "--service", "http", "-c", "2", "-i", "0"]);
    let summary = events.last().unwrap();
    assert_eq!((status, &summary["received"]), (Some(1), &0.into()), "{summary}");
}

#[test]
fn redis_is_compared_with_its_host() {
    let Some(running) = Running::start(&REDIS) else { return };
    let url = format!("tcp://{}", running.address());
    let arguments = ["compare", "icmp://127.0.0.1", &url, "--service", "redis", "-c", "200", "-q"];
    let (status, events) = client(&arguments);
    let verdict = events.last().unwrap();
    assert_eq!(status, Some(0), "{verdict}");
    assert_eq!(verdict["sides"][1]["received"], verdict["sides"][1]["sent"], "{verdict}");
    let causes = verdict["causes"].as_array().unwrap();
    assert!(causes.iter().any(|cause| cause["cause"] == "server-program"), "{verdict}");
}

#[test]
fn median_of_redis_agrees_with_redis_benchmark() {
    let (ip, port) = ADDRESS.split_once(':').unwrap();
    // The test `ping_inline` sends the same bytes as the client.
    let benchmark = arguments([
        "redis-benchmark",
        "-h",
        ip,
        "-p",
        port,
        "-t",
        "ping_inline",
        "-c",
        "1",
        "-n",
        "10",
        "--csv",
    ]);
    let commands = [lab::client(10, &["tcp", ADDRESS, "--service", "redis"]), benchmark];
    let Some([client, benchmark]) = lab::run(&REDIS, &Path::SHORT, &["redis-benchmark"], &commands)
    else {
        return;
    };
    assert_agree("redis", rtts(&client), benchmark.iter().map(|output| median(output)).collect());
}

/// The median in the CSV output of `redis-benchmark`, in milliseconds there.
fn median(output: &str) -> Duration {
    let rows: Vec<Vec<&str>> = output
        .lines()
        .map(|line| line.split(',').map(|field| field.trim_matches('"')).collect())
        .collect();
    let column = rows[0].iter().position(|name| *name == "p50_latency_ms").unwrap();
    Duration::from_secs_f64(rows[1][column].parse::<f64>().unwrap() / 1000.0)
}
