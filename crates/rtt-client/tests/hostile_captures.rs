//! Runs `rtt-client trace -r` with hostile files. The program must end normally, in linear time and with bounded memory.
#![cfg(all(unix, not(portable)))]

#[path = "hostile_captures/files.rs"]
mod files;

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The limit of the address space, in KiB. The program stores at most 100,000 packets and three copies of 64 MiB. The
/// rest is for the descriptions of packets, the libraries and the stacks.
const MEMORY_KIB: u64 = 512 * 1024;

/// The limit of the CPU time, in seconds. A build without optimisation needs less than a fifth of this time for each
/// file. Before the time was linear, such a build needed 145 s to read the statistics.
const CPU_SECONDS: u64 = 120;

/// Reads `file` with both output formats. Returns the ends of the two outputs.
fn read_file(name: &str, file: &[u8]) -> [String; 2] {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = directory.join(format!("hostile-{name}-{}", std::process::id()));
    std::fs::write(&path, file).unwrap();
    let ends = ["text", "json"].map(|format| {
        let script = format!(
            r#"ulimit -v {MEMORY_KIB} && ulimit -t {CPU_SECONDS} && exec "$0" trace --format {format} -r "$1""#
        );
        let mut child = Command::new("sh")
            .args(["-c", &script, CLIENT])
            .arg(&path)
            // A time zone with an offset and with rules for the future.
            .env("TZ", "America/New_York")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let end = end_of(child.stdout.take().unwrap());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{name} {format}: {end}");
        end
    });
    std::fs::remove_file(&path).unwrap();
    ends
}

/// The last bytes of an output. The output can be longer than the memory of the test.
fn end_of(mut output: impl Read) -> String {
    const KEPT: usize = 4096;
    let (mut end, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        let length = output.read(&mut buffer).unwrap();
        if length == 0 {
            return String::from_utf8_lossy(&end).into_owned();
        }
        end.extend(&buffer[..length]);
        end.drain(..end.len().saturating_sub(KEPT));
    }
}

/// The last event of the JSON output.
fn totals(end: &str) -> serde_json::Value {
    serde_json::from_str(end.lines().last().unwrap()).unwrap()
}

/// Reads a file with more packets than the limit. Returns the totals.
fn read_long_file(name: &str, file: &[u8]) -> serde_json::Value {
    let [text, json] = read_file(name, file);
    let totals = totals(&json);
    let reason = "the file has more than 100000 packets; the rest is not read";
    assert_eq!(totals["incomplete"], reason, "{name}");
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.join(" ").contains(reason), "{name}: {text}");
    totals
}

#[test]
fn number_of_exchanges_is_bounded_by_the_captured_packets() {
    for (name, file) in
        [("sequences", files::random_sequence_numbers()), ("lengths", files::forged_lengths())]
    {
        let totals = read_long_file(name, &file);
        let tcp = &totals["protocols"][0];
        assert_eq!((&tcp["protocol"], &tcp["packets"]), (&"tcp".into(), &100_000.into()));
        assert!(tcp["exchanges"].as_u64().unwrap() <= 100_000, "{totals}");
    }
}

#[test]
fn packets_of_too_many_flows_are_counted() {
    let totals = read_long_file("flows", &files::many_flows());
    let protocols = totals["protocols"].as_array().unwrap();
    let explained: u64 =
        protocols.iter().map(|protocol| protocol["packets"].as_u64().unwrap()).sum();
    let [skipped, beyond_limit] =
        ["skipped", "beyond_flow_limit"].map(|field| totals[field].as_u64().unwrap());
    assert_eq!(explained + skipped, 100_000, "{totals}");
    assert!(beyond_limit > 70_000 && beyond_limit <= skipped, "{totals}");
}

#[test]
fn similar_datagrams_are_paired_in_linear_time() {
    let [_, json] = read_file("similar", &files::similar_datagrams());
    let totals = totals(&json);
    let udp = &totals["protocols"][0];
    assert_eq!((&udp["packets"], &udp["exchanges"]), (&16_000.into(), &8500.into()), "{totals}");
}

#[test]
fn payload_that_is_longer_in_the_output_stays_within_the_memory() {
    let [_, json] = read_file("payloads", &files::expanding_payloads());
    let udp = &totals(&json)["protocols"][0];
    assert_eq!(udp["packets"], 6000);
}

#[test]
fn file_with_too_many_bytes_is_read_up_to_the_limit() {
    let [text, json] = read_file("long", &files::long_packets());
    let reason = "the packets of the file have more than 64 MiB; the rest is not read";
    let totals = totals(&json);
    assert_eq!(totals["incomplete"], reason);
    assert_eq!(totals["protocols"][0]["packets"], (64 << 20) / 65_028);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.join(" ").contains(reason), "{text}");
}

#[test]
fn nested_truncated_and_empty_packets_are_skipped() {
    let totals = read_long_file("nested", &files::nested_and_truncated());
    assert!(totals["unreadable"].as_u64().unwrap() > 1000, "{totals}");
}

#[test]
fn every_time_in_a_file_is_shown() {
    for (name, file, packets) in [
        ("pcap-times", files::times_of_pcap(), 12),
        ("pcapng-times", files::times_of_pcapng(), 126),
    ] {
        let [_, json] = read_file(name, &file);
        let totals = totals(&json);
        assert_eq!(totals["protocols"][0]["packets"], packets, "{totals}");
        assert_eq!(totals["incomplete"], serde_json::Value::Null, "{totals}");
    }
}

#[test]
fn blocks_of_a_file_are_read_in_linear_time() {
    for (name, file) in [
        ("statistics", files::many_statistics()),
        ("sections", files::many_sections()),
        ("options", files::many_options()),
    ] {
        let [_, json] = read_file(name, &file);
        let totals = totals(&json);
        assert_eq!(totals["incomplete"], serde_json::Value::Null, "{name}: {totals}");
    }
    let [_, json] = read_file("interfaces", &files::many_interfaces());
    let reason = "the file describes more than 1024 interfaces";
    assert_eq!(totals(&json)["incomplete"], reason);
}
