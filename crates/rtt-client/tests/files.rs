//! Files that the client writes: a file is complete or unchanged, whatever ends the run.
//!
//! Most tests need network namespaces. Without them, they print SKIPPED. If `REQUIRE_NETNS` is set, they fail instead.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The first bytes of a pcapng file: the type of the section header block.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// A new directory with the file `keep`. Dropping it removes it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("files-{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("keep"), "old").unwrap();
        Self(path)
    }

    fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    /// Asserts that `keep` is the only file, and that it is unchanged.
    fn assert_unchanged(&self) {
        assert_eq!(self.content("keep"), b"old");
        self.assert_names(&["keep"]);
    }

    fn assert_names(&self, expected: &[&str]) {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, expected);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The result of a shell script.
struct Finished {
    status: Option<i32>,
    out: String,
    err: String,
}

/// Runs a shell script in new namespaces, with `directory` as its working directory. `$CLIENT` is the path of the
/// client. In the namespaces, the client may capture packets.
fn in_namespaces(directory: &Directory, script: &str) -> Finished {
    let output = Command::new("unshare")
        .args(["-Urnm", "sh", "-c", &format!("ip link set lo up\n{script}")])
        .current_dir(&directory.0)
        .env("CLIENT", CLIENT)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    Finished { status: output.status.code(), out, err }
}

/// Starts a trace with a long pause after its first exchange, and waits until it captures.
fn start_trace(directory: &Directory) -> Child {
    let script = r#"ip link set lo up
        exec "$CLIENT" trace udp://127.0.0.1:9 -c 5 -i 50s -v -w keep"#;
    let mut client = Command::new("unshare")
        .args(["-Urn", "env", "--default-signal", "sh", "-c", script])
        .current_dir(&directory.0)
        .env("CLIENT", CLIENT)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(client.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("connected") || !line.contains("127.0.0.1:9") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the trace ended");
    }
    // The pipe stays open, because the client continues to log.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    client
}

fn signal(client: &Child, signal: Signal) {
    kill(Pid::from_raw(client.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn trace_without_permission_to_capture_leaves_the_file_unchanged() {
    if !namespaces::is_possible("true") {
        return;
    }
    let directory = Directory::new("permission");
    // Only in the new user namespace, the process has all capabilities. The network belongs to the old one.
    let output = Command::new("unshare")
        .args(["-U", CLIENT, "trace", "udp://127.0.0.1:9", "-w", "keep"])
        .current_dir(&directory.0)
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("CAP_NET_RAW") || err.contains("cannot"), "{err}");
    assert_eq!((output.status.code(), err.lines().count()), (Some(2), 1), "{err}");
    directory.assert_unchanged();
}

#[test]
fn file_is_replaced_by_a_complete_trace() {
    if !namespaces::is_possible("true") {
        return;
    }
    let directory = Directory::new("complete");
    let result = in_namespaces(&directory, r#""$CLIENT" trace udp://127.0.0.1:9 -w keep"#);
    assert_eq!((result.status, result.err.as_str()), (Some(1), ""), "{}", result.out);
    assert!(result.out.contains("The packets are in the file keep"), "{}", result.out);
    assert!(directory.content("keep").starts_with(&PCAPNG));
    directory.assert_names(&["keep"]);
}

#[test]
fn interrupted_trace_writes_the_packets_so_far() {
    if !namespaces::is_possible("true") {
        return;
    }
    let directory = Directory::new("interrupted");
    let mut client = start_trace(&directory);
    // The exchange ends with an ICMP error from this host. Wait until its packets are captured.
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(directory.content("keep"), b"old");
    signal(&client, Signal::SIGINT);
    assert_eq!(client.wait().unwrap().code(), Some(1));
    assert!(directory.content("keep").starts_with(&PCAPNG));
    directory.assert_names(&["keep"]);
}

#[test]
fn second_signal_leaves_the_file_unchanged() {
    if !namespaces::is_possible("true") {
        return;
    }
    let directory = Directory::new("second");
    let mut client = start_trace(&directory);
    for number in [Signal::SIGSTOP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGCONT] {
        signal(&client, number);
    }
    let status = client.wait().unwrap();
    assert!([Some(128 + 2), Some(128 + 15)].contains(&status.code()), "{status:?}");
    directory.assert_unchanged();
}

#[test]
fn name_without_an_address_leaves_the_file_unchanged() {
    if !namespaces::is_possible("true") {
        return;
    }
    let directory = Directory::new("name");
    let script = r#""$CLIENT" trace udp://fe80::1%no-such-interface -w keep"#;
    assert_eq!(in_namespaces(&directory, script).status, Some(1));
    directory.assert_unchanged();
}

#[test]
fn each_problem_with_a_file_is_one_line_that_names_it_once() {
    if !namespaces::is_possible("true") {
        return;
    }
    let directory = Directory::new("problems");
    for (setup, path, problem, is_measured) in [
        ("mkdir directory", "directory", "Is a directory", false),
        ("true", "missing/new", "No such file or directory", false),
        ("true", "keep/new", "Not a directory", false),
        ("mount -t tmpfs -o ro tmpfs directory", "directory/new", "Read-only file system", false),
        ("ln -s loop loop", "loop", "Too many levels of symbolic links", false),
        ("mount -t tmpfs -o size=4k tmpfs directory", "directory/new", "No space left", true),
        ("true", "/dev/full", "No space left", true),
    ] {
        let script =
            format!(r#"{setup} && exec "$CLIENT" trace udp://127.0.0.1:9 -c 200 -w {path}"#);
        let Finished { status, out, err } = in_namespaces(&directory, &script);
        assert_eq!((status, err.lines().count()), (Some(2), 1), "{path}: {err}");
        assert_eq!(err.matches(problem).count(), 1, "{path}: {err}");
        assert_eq!(err.matches("os error").count(), 1, "{path}: {err}");
        assert!(err.starts_with("rtt-client: cannot ") && err.contains(path), "{path}: {err}");
        // Without a usable file, no packet is sent. Otherwise the trace is shown, without a claim about the file.
        assert_eq!(!out.is_empty(), is_measured, "{path}: {out}");
        assert!(!out.contains("The packets are in the file"), "{path}: {out}");
    }
    fs::remove_file(directory.0.join("loop")).unwrap();
    fs::remove_dir(directory.0.join("directory")).unwrap();
    directory.assert_unchanged();
}

#[test]
fn full_disk_leaves_the_file_unchanged() {
    if !namespaces::is_possible("true") {
        return;
    }
    let directory = Directory::new("full");
    let script = r#"mkdir disk && mount -t tmpfs -o size=8k tmpfs disk && echo old > disk/keep
        "$CLIENT" trace udp://127.0.0.1:9 -c 200 -w disk/keep > text; echo "status $?"; cat disk/keep; ls -A disk"#;
    let Finished { out, err, .. } = in_namespaces(&directory, script);
    assert_eq!(out, "status 2\nold\nkeep\n", "{err}");
    assert_eq!(err.matches("No space left").count(), 1, "{err}");
    assert!(String::from_utf8(directory.content("text")).unwrap().contains("request"));
}

#[test]
fn link_pipe_and_standard_output_keep_their_kind() {
    if !namespaces::is_possible("true") {
        return;
    }
    let directory = Directory::new("kinds");
    let script = r#"ln -s keep link; mkfifo pipe; trace="$CLIENT trace udp://127.0.0.1:9"
        $trace -w link > /dev/null
        cat pipe > copy & $trace -w pipe > /dev/null; wait
        $trace -w /dev/stdout >> both
        $trace -w /dev/stdout | cat > piped
        $trace -w /dev/null > /dev/null
        test -h link && test -p pipe && test -c /dev/null && echo kept"#;
    let Finished { out, err, .. } = in_namespaces(&directory, script);
    assert_eq!((out.as_str(), err.as_str()), ("kept\n", ""));
    for name in ["keep", "copy"] {
        assert!(directory.content(name).starts_with(&PCAPNG), "{name}");
    }
    for name in ["both", "piped"] {
        let content = directory.content(name);
        let has = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
        assert!(has(&PCAPNG) && has(b"The packets are in the file /dev/stdout"), "{name}");
    }
    directory.assert_names(&["both", "copy", "keep", "link", "pipe", "piped"]);
}
