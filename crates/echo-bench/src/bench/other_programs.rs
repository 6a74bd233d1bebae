//! Measures round trips with sockperf and irtt if they are installed. Client and server run on one CPU. The results
//! have no limits.

use super::{ROUNDS, print_rtt};
use crate::floor::SIZE;
use crate::protocol::Protocol;
use child_process::{Child, output};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// The port of sockperf's server. It is fixed, because the benchmark does not read the server's output.
const SOCKPERF_PORT: &str = "25801";

/// The address of irtt's server. It is fixed for the same reason.
const IRTT_ADDRESS: &str = "127.0.0.1:25802";

/// The time for which the benchmark waits until a server has started.
const START_TIME: Duration = Duration::from_millis(300);

/// Measures with sockperf and prints the results.
pub(super) fn sockperf() {
    let host_and_port = ["-i", "127.0.0.1", "-p", SOCKPERF_PORT];
    for protocol in Protocol::ALL {
        let tcp = (protocol == Protocol::Tcp).then_some("--tcp");
        let mut server = Command::new("sockperf");
        server.arg("server").args(host_and_port).args(tcp);
        let Ok(_server) = start(&mut server) else {
            println!("sockperf: skipped, because it is not installed");
            return;
        };
        sleep(START_TIME);
        let mut rtts = Vec::new();
        for _ in 0..ROUNDS {
            let mut client = Command::new("sockperf");
            client.arg("ping-pong").args(host_and_port).args(["-t", "1", "--full-rtt"]);
            client.args(["-m", &SIZE.to_string()]).args(tcp).stderr(Stdio::null());
            rtts.extend(output(&mut client).ok().as_deref().and_then(sockperf_median));
        }
        if !rtts.is_empty() {
            print_rtt(&format!("{protocol}: sockperf, both sides"), &mut rtts);
        }
    }
}

/// Measures with irtt and prints the result.
pub(super) fn irtt() {
    let mut server = Command::new("irtt");
    let Ok(_server) = start(server.args(["server", "-b", IRTT_ADDRESS, "-i", "100us"])) else {
        println!("irtt: skipped, because it is not installed");
        return;
    };
    sleep(START_TIME);
    let mut rtts = Vec::new();
    for _ in 0..ROUNDS {
        let mut client = Command::new("irtt");
        client.args(["client", "-q", "-i", "1ms", "-d", "1s", IRTT_ADDRESS]).stderr(Stdio::null());
        rtts.extend(output(&mut client).ok().as_deref().and_then(irtt_median));
    }
    if !rtts.is_empty() {
        print_rtt("UDP: irtt, both sides, every 1 ms", &mut rtts);
    }
}

/// Starts a server and discards its output.
fn start(server: &mut Command) -> child_process::Result<Child> {
    Child::start(server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Parses the line `---> percentile 50.000 =    7.123`, in µs.
fn sockperf_median(text: &str) -> Option<Duration> {
    let line = text.lines().find(|line| line.contains("percentile 50.0"))?;
    let microseconds: f64 = line.split('=').nth(1)?.trim().parse().ok()?;
    Some(Duration::from_secs_f64(microseconds / 1e6))
}

/// Parses the line `RTT   61µs  80.1µs  78.4µs ...`: minimum, mean, median.
fn irtt_median(text: &str) -> Option<Duration> {
    let line = text.lines().find(|line| line.trim_start().starts_with("RTT"))?;
    let median = line.split_whitespace().nth(3)?;
    let microseconds: f64 = median.strip_suffix("µs")?.parse().ok()?;
    Some(Duration::from_secs_f64(microseconds / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_sockperf_and_irtt_are_parsed() {
        let text = "sockperf: ---> percentile 90.000 =    9.1\nsockperf: ---> percentile 50.000 =    7.123\n";
        assert_eq!(sockperf_median(text), Some(Duration::from_nanos(7_123)));
        let text =
            "                Min    Mean  Median\n    RTT   61µs  80.1µs  78.4µs  90µs  3µs\n";
        assert_eq!(irtt_median(text), Some(Duration::from_nanos(78_400)));
        assert_eq!(sockperf_median("no result"), None);
        assert_eq!(irtt_median("no result"), None);
    }
}
