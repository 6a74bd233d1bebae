//! Common code of the tests with scripted servers: runs the client and parses its JSON output.
#![allow(dead_code, reason = "each test program uses a part of this module")]

use echo_core::header::version2;
use rtt_client::report::{Json, JsonConfig};
use rtt_client::{Plan, Settings, protocol_named, run};
use serde_json::Value;
use std::net::UdpSocket;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

/// Runs the client and returns its JSON events.
pub fn events(protocol: &str, address: &str, settings: Settings) -> Vec<Value> {
    let protocol = protocol_named(protocol).unwrap();
    let plan = Plan::new(protocol, address.parse().unwrap(), settings).unwrap();
    let mut lines = Vec::new();
    run(&plan, &mut Json::new(&mut lines, JsonConfig::default()), &AtomicBool::new(false)).unwrap();
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Runs a series. Returns its summary and the events before the summary.
pub fn series(protocol: &str, address: &str, settings: Settings) -> (Value, Vec<Value>) {
    let mut events = events(protocol, address, settings);
    let summary = events.pop().unwrap();
    assert_eq!(summary["type"], "summary");
    let [sent, received, lost, corrupt] = counts(&summary, ["sent", "received", "lost", "corrupt"]);
    assert_eq!(sent, received + lost + corrupt);
    (summary, events)
}

/// The counts with these names in a summary.
pub fn counts<const N: usize>(summary: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}")))
}

/// `count` exchanges, one at a time, without pauses. The timeout is longer than a pause of a busy machine. It is short
/// enough for tests in which it expires.
pub fn back_to_back(count: u64) -> Settings {
    Settings { timeout: Duration::from_millis(250), ..Settings::series(count) }
}

/// `count` exchanges at a fixed rate.
pub fn at_rate(count: u64, rate: f64) -> Settings {
    Settings { rate: Some(rate), ..back_to_back(count) }
}

/// The number in a request or a reply of a series. A timing header of version 2, or bytes that replace
/// it, can precede the number.
pub fn number(message: &[u8]) -> u64 {
    let start = if message[0].is_ascii_digit() { 0 } else { version2::HEADER_LEN };
    std::str::from_utf8(&message[start..start + 10]).unwrap().parse().unwrap()
}

/// Starts a UDP server and returns its address. The server calls `handle` for each datagram. The arguments are the
/// datagram in upper case and a function that sends a reply.
pub fn raw_udp_server(mut handle: impl FnMut(Vec<u8>, &dyn Fn(&[u8])) + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let reply = buffer[..length].to_ascii_uppercase();
            handle(reply, &|reply| {
                // The client may have closed its socket.
                let _ = socket.send_to(reply, client);
            });
        }
    });
    address
}

/// Like [`raw_udp_server`], for requests that start with their number. The first argument is this number.
pub fn udp_server(mut handle: impl FnMut(u64, Vec<u8>, &dyn Fn(&[u8])) + Send + 'static) -> String {
    raw_udp_server(move |reply, send| handle(number(&reply), reply, send))
}
