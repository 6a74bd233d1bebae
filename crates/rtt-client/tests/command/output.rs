//! Runs the client and prepares its output for snapshots.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// The result of a run of the client.
pub struct Finished {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn client(arguments: &[&str], input: &str) -> Finished {
    let mut process = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args(arguments)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Some commands do not read their input, so the pipe can be closed already.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Finished { status: status.code(), out: text(stdout), err: text(stderr) }
}

/// Replaces each sequence of digits by `0`, because numbers differ from run to run.
pub fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' if plain.ends_with('0') => {}
            '0'..='9' => plain.push('0'),
            other => plain.push(other),
        }
    }
    plain
}

/// Replaces each sequence of spaces by one space, because the number of spaces depends on the numbers.
pub fn without_alignment(text: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).collect::<Vec<_>>().join("\n")
}

/// Removes `host`, because it differs from machine to machine.
pub fn without_host(json: &str) -> String {
    let Some((before, rest)) = json.split_once(",\"host\":{") else { return json.to_owned() };
    let (_, after) = rest.split_once('}').unwrap();
    format!("{before}{}", without_host(after))
}
