//! Measures a server with the client and with other tools, in the network of `tests/network/services.py`.

use super::loopback::CLIENT;
use super::namespaces;
use super::program::{self, Place, Ready, Server};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// The server's address in the lab.
pub const ADDRESS: &str = "10.77.0.2:7777";

/// Only one lab runs at a time, because the tests measure times.
static LAB: Mutex<()> = Mutex::new(());

/// A path to a server. Its delay is much longer than the processing time of the tools, so a tolerance of 5 % does not
/// depend on the speed of the machine.
pub struct Path {
    /// The delay in each direction, in milliseconds.
    pub delay_ms: u32,
    /// The number of runs of each command.
    pub rounds: u32,
}

impl Path {
    /// The path for servers that need much less than a millisecond.
    pub const SHORT: Self = Self { delay_ms: 10, rounds: 5 };
}

/// The outputs of a command: one for each round.
pub type Outputs = Vec<String>;

/// Runs `commands` in turns. `programs` are the programs of these commands. Returns the outputs of each command. Returns
/// `None` if a program is missing, or if network namespaces are not available.
pub fn run<const N: usize>(
    server: &Server,
    path: &Path,
    programs: &[&str],
    commands: &[Vec<String>; N],
) -> Option<[Outputs; N]> {
    run_with_capture(server, path, programs, commands, |_| ())
}

/// Like [`run`]. Writes the packets of the client's interface to a file, and calls `read` with its path.
pub fn run_with_capture<const N: usize>(
    server: &Server,
    path: &Path,
    programs: &[&str],
    commands: &[Vec<String>; N],
    read: impl FnOnce(&str),
) -> Option<[Outputs; N]> {
    let programs = [server.programs, programs, &["python3"]].concat();
    if !program::exist(&programs) || !namespaces::is_possible("true") {
        return None;
    }
    let (ip, port) = ADDRESS.split_once(':').unwrap();
    let place = Place::new(ip, port.parse().unwrap());
    let mut ready = json!({"port": place.port});
    if let Ready::Reply(request) = server.ready {
        ready["request"] = hexadecimal(request).into();
    }
    let capture = place.path("capture.pcap");
    let scenario = json!({
        "server": (server.command)(&place),
        "ready": ready,
        "delay_ms": path.delay_ms,
        "rounds": path.rounds,
        "commands": commands.as_slice(),
        "capture": capture,
    });
    let results = run_script(&scenario);
    let outputs = |results: &Value| {
        let results = results.as_array().unwrap().iter();
        results.map(output).collect::<Outputs>()
    };
    let outputs: Vec<Outputs> = results.as_array().unwrap().iter().map(outputs).collect();
    read(&capture);
    Some(outputs.try_into().unwrap())
}

fn run_script(scenario: &Value) -> Value {
    let _guard = LAB.lock().unwrap_or_else(PoisonError::into_inner);
    let Output { status, stdout, stderr } = Command::new("unshare")
        .args(["-Urnm", "--pid", "--fork", "--kill-child", "--mount-proc", "python3"])
        .args([script("services.py"), scenario.to_string()])
        .output()
        .unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    serde_json::from_slice(&stdout).unwrap()
}

/// The output of a command that was successful.
fn output(result: &Value) -> String {
    assert_eq!(result["status"], 0, "{result}");
    result["out"].as_str().unwrap().to_owned()
}

/// The client's command of `count` exchanges.
pub fn client(count: u32, arguments: &[&str]) -> Vec<String> {
    let count = count.to_string();
    let options = ["-c", &count, "-i", "0", "-W", "10", "--format", "json"];
    [&[CLIENT], arguments, &options].concat().into_iter().map(str::to_owned).collect()
}

/// The command of `plain_client.py`.
pub fn plain_client(kind: &str, count: u32, request: &[u8]) -> Vec<String> {
    let (ip, port) = ADDRESS.split_once(':').unwrap();
    let (count, request) = (count.to_string(), hexadecimal(request));
    ["python3", &script("plain_client.py"), kind, ip, port, &count, &request]
        .map(str::to_owned)
        .to_vec()
}

/// The path of a script in `tests/network`.
fn script(name: &str) -> String {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/network");
    directory.join(name).to_str().unwrap().to_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
