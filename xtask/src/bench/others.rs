//! Other people's programs, where they are installed: both sides theirs, on one CPU.

use super::{ROUNDS, row};
use crate::floor::SIZE;
use crate::process::{self, output};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Other people's program, where it is installed: both sides theirs, on one CPU.
pub(super) fn sockperf() {
    let mut figures = Vec::new();
    let mut tcp_figures = Vec::new();
    for (title, figures, tcp) in
        [("UDP", &mut figures, None), ("TCP", &mut tcp_figures, Some("--tcp"))]
    {
        let mut server = Command::new("sockperf");
        server.args(["server", "-i", "127.0.0.1", "-p", "25801"]).args(tcp);
        let Ok(_server) = process::Child::start(
            server.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()),
        ) else {
            println!("sockperf is not installed: left out");
            break;
        };
        std::thread::sleep(Duration::from_millis(300));
        for _ in 0..ROUNDS {
            let mut client = Command::new("sockperf");
            client.args(["ping-pong", "-i", "127.0.0.1", "-p", "25801", "-t", "1", "--full-rtt"]);
            client.args(["-m", &SIZE.to_string()]).args(tcp).stderr(Stdio::null());
            if let Some(median) = output(&mut client).ok().as_deref().and_then(sockperf_median) {
                figures.push(median);
            }
        }
        if !figures.is_empty() {
            row(&format!("{title}: sockperf, both sides"), figures, None, None);
        }
    }
}

/// As [`sockperf`].
pub(super) fn irtt() {
    let mut server = Command::new("irtt");
    server
        .args(["server", "-b", "127.0.0.1:25802", "-i", "100us"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(_server) = process::Child::start(&mut server) else {
        println!("irtt is not installed: left out");
        return;
    };
    std::thread::sleep(Duration::from_millis(300));
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        let mut client = Command::new("irtt");
        client
            .args(["client", "-q", "-i", "1ms", "-d", "1s", "127.0.0.1:25802"])
            .stderr(Stdio::null());
        if let Some(median) = output(&mut client).ok().as_deref().and_then(irtt_median) {
            figures.push(median);
        }
    }
    if !figures.is_empty() {
        row("UDP: irtt, both sides, every 1 ms", &mut figures, None, None);
    }
}

/// From "---> percentile 50.000 =    7.123" (µs).
fn sockperf_median(text: &str) -> Option<Duration> {
    let line = text.lines().find(|line| line.contains("percentile 50.0"))?;
    let microseconds: f64 = line.split('=').nth(1)?.trim().parse().ok()?;
    Some(Duration::from_secs_f64(microseconds / 1e6))
}

/// From "RTT   61µs  80.1µs  78.4µs ..." (minimum, mean, median).
fn irtt_median(text: &str) -> Option<Duration> {
    let line = text.lines().find(|line| line.trim_start().starts_with("RTT"))?;
    let median = line.split_whitespace().nth(3)?;
    let microseconds: f64 = median.strip_suffix("µs")?.parse().ok()?;
    Some(Duration::from_secs_f64(microseconds / 1e6))
}
