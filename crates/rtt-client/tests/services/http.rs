//! Web servers: `nginx` keeps its connections, and `python3 -m http.server` closes them. The tests compare the client with
//! `curl` and with the times that `tshark` finds in a capture.

use super::agreement::{assert_agree, field_of_events, handshakes, rtts, seconds, tshark_times};
use super::lab::{self, ADDRESS, Path};
use super::loopback::{Running, complete_series, is_found};
use super::program::{Place, Ready, Server, arguments, path};
use std::time::Duration;

/// `nginx` closes a connection after this number of requests. The last reply announces it.
const KEEPALIVE_REQUESTS: u64 = 50;

const NGINX: Server = Server {
    programs: &["nginx"],
    command: |place| {
        let config = place.file("nginx.conf", &nginx_config(place));
        arguments([&path("nginx"), "-e", "stderr", "-c", &config])
    },
    ready: Ready::Connect,
};

const PYTHON: Server = Server {
    programs: &["python3"],
    command: |place| {
        let port = place.port.to_string();
        arguments(["python3", "-m", "http.server", "-b", place.ip, "-d", &place.path(""), &port])
    },
    ready: Ready::Connect,
};

fn nginx_config(place: &Place) -> String {
    let directories = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};", place.path(name)))
        .concat();
    // The namespaces of the lab contain only this user.
    format!(
        "user root; daemon off; master_process off; pid {}; error_log stderr; events {{}}
        http {{
            access_log off; {directories} keepalive_requests {KEEPALIVE_REQUESTS};
            server {{ listen {}:{}; location / {{ return 200 ok; }} }}
        }}",
        place.path("nginx.pid"),
        place.ip,
        place.port
    )
}

#[test]
fn nginx_answers_on_a_connection_until_it_announces_the_close() {
    let Some(running) = Running::start(&NGINX) else { return };
    let address = running.address();
    let arguments = ["tcp", &address, "--service", "http", "-i", "0"];
    let (summary, connections) = complete_series(&arguments, 3 * KEEPALIVE_REQUESTS);
    assert_eq!((connections, &summary["resent"]), (3, &0.into()), "{summary}");
    let (_, connections) =
        complete_series(&[&arguments[..], &["--connection", "each"]].concat(), 10);
    assert_eq!(connections, 10);
    is_found(&[&format!("tcp://{address}"), "--service", "http"]);
}

#[test]
fn web_server_of_python_gets_one_connection_for_each_request() {
    let Some(running) = Running::start(&PYTHON) else { return };
    let address = running.address();
    let (summary, connections) =
        complete_series(&["tcp", &address, "--service", "http", "-i", "0"], 10);
    assert_eq!((connections, &summary["resent"]), (10, &0.into()), "{summary}");
    is_found(&[&format!("tcp://{address}"), "--service", "http"]);
}

/// The times of `curl`, in seconds from the start of a transfer: the end of the handshake, the start of the request, and the
/// first byte of the reply.
const CURL_TIMES: &str = "%{time_connect} %{time_pretransfer} %{time_starttransfer}\\n";

/// Ten HEAD requests of `curl`.
fn curl(options: &[&str]) -> Vec<String> {
    let url = format!("http://{ADDRESS}/?[1-10]");
    let command = ["curl", "-s", "-o", "/dev/null", "-I", "-w", CURL_TIMES, &url];
    command.iter().chain(options).map(|argument| (*argument).to_owned()).collect()
}

/// The times that `duration` computes from the three values in each line of `curl`.
fn curl_times(outputs: &[String], duration: fn([Duration; 3]) -> Duration) -> Vec<Duration> {
    let lines = outputs.iter().flat_map(|output| output.lines());
    let values = |line: &str| line.split(' ').map(seconds).collect::<Vec<_>>().try_into().unwrap();
    lines.map(|line| duration(values(line))).collect()
}

fn time_of_reply([_, pretransfer, starttransfer]: [Duration; 3]) -> Duration {
    starttransfer.saturating_sub(pretransfer)
}

#[test]
fn medians_of_nginx_agree_with_curl() {
    let service = ["tcp", ADDRESS, "--service", "http"];
    let each = [&service[..], &["--connection", "each"]].concat();
    let commands = [
        lab::client(10, &service),
        curl(&[]),
        lab::client(10, &each),
        curl(&["-H", "Connection: close"]),
    ];
    let Some([kept, curl_kept, each, curl_each]) =
        lab::run(&NGINX, &Path::SHORT, &["curl"], &commands)
    else {
        return;
    };
    assert_agree("nginx, one connection", rtts(&kept), curl_times(&curl_kept, time_of_reply));
    assert_agree("nginx, new connections", rtts(&each), curl_times(&curl_each, time_of_reply));
    let first_bytes = field_of_events(&each, "exchange", "first_byte_ns");
    assert_agree("nginx, first byte", first_bytes, curl_times(&curl_each, time_of_reply));
    assert_agree(
        "nginx, handshake",
        handshakes(&each),
        curl_times(&curl_each, |[connect, ..]| connect),
    );
}

#[test]
fn median_of_nginx_agrees_with_the_capture() {
    let mut captured = Vec::new();
    let commands = [lab::client(20, &["tcp", ADDRESS, "--service", "http"])];
    let outputs = lab::run_with_capture(&NGINX, &Path::SHORT, &["tshark"], &commands, |capture| {
        captured = tshark_times(capture, "tcp.port==7777,http", "http.time");
    });
    let Some([client]) = outputs else { return };
    assert_eq!(captured.len(), rtts(&client).len(), "each exchange is in the capture");
    assert_agree("nginx, http.time", rtts(&client), captured);
}

#[test]
fn medians_of_the_web_server_of_python_agree_with_curl() {
    // The server needs about a millisecond for a request.
    let path = Path { delay_ms: 15, ..Path::SHORT };
    let commands = [lab::client(10, &["tcp", ADDRESS, "--service", "http"]), curl(&[])];
    let Some([client, curl]) = lab::run(&PYTHON, &path, &["curl"], &commands) else { return };
    assert_agree("http.server", rtts(&client), curl_times(&curl, time_of_reply));
    let connect = curl_times(&curl, |[connect, ..]| connect);
    assert_agree("http.server, handshake", handshakes(&client), connect);
}
