//! `cargo xtask demo`: the six tasks of the lab assignment on this machine.
//!
//! Each result comes from a program that the demo starts. The demo also writes files to `target/demo/`: the output
//! of each task, the captured packets, and the logs of the servers.

mod servers;

use anyhow::{Context as _, Result};
use child_process::workspace::{self, program};
use child_process::{command_line, output_with_status};
use servers::Servers;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The client's exit status if every exchange had a correct reply.
const ALL_ANSWERED: i32 = 0;
/// The client's exit status if an exchange had no correct reply.
const NOT_ALL_ANSWERED: i32 = 1;
/// The client's exit status if the run could not start.
const COULD_NOT_RUN: i32 = 2;

/// Builds the programs, starts the servers, runs the tasks, and stops the servers.
pub(crate) fn run() -> Result<()> {
    println!("The demo runs the six tasks of the lab assignment on this machine.");
    println!("It first builds the programs. On a fresh clone, this takes one to three minutes.\n");
    workspace::build_programs()?;
    let files = Files::create()?;
    let servers = Servers::start(&files)?;
    let programs = workspace::PROGRAMS.join(", ");
    println!("\nPrograms     {} ({programs})", shown(&workspace::program_directory()));
    let first_copy = shown(&files.path("task-1.txt"));
    println!("Output       {first_copy} to task-6.txt (copies of the text below)");
    println!("Packets      {} (for Wireshark)", shown(&files.capture()));
    println!("Server logs  {}", servers.logs());
    println!("Servers      {}", servers.addresses());
    // The tasks of the assignment are about UDP and TCP.
    let (udp, tcp) = (servers.address("udp")?, servers.address("tcp")?);
    let (udp_url, tcp_url) = (servers.url("udp")?, servers.url("tcp")?);

    let mut task = files.task(
        1,
        "UDP round trip",
        "The client sends one datagram and receives one datagram. The RTT (round-trip\n\
         time) is the time from sending the request to receiving the reply.",
    );
    task.client(&["udp", udp, "hello, world"], &[ALL_ANSWERED])?;
    task.write()?;

    let mut task = files.task(
        2,
        "TCP client and server",
        "The client opens a TCP connection and then exchanges a request and a reply. The\n\
         server converts the letters of every alphabet to upper case. The reply can be\n\
         longer than the request.",
    );
    task.client(&["tcp", tcp, "straße, καφές, кофе, ŉ"], &[ALL_ANSWERED])?;
    task.write()?;

    let mut task = files.task(
        3,
        "TCP round trip",
        "TCP opens a connection before the client can send the request. The client shows\n\
         four times: the handshake, the time in the client, the RTT of the request, and\n\
         the total.\n\
         \n\
         In tasks 1 to 3, each exchange is the first one of a new process (a cold start).\n\
         Such an exchange can be much slower than later ones. Task 4 measures many\n\
         exchanges.",
    );
    task.client(&["tcp", tcp, "hello, world"], &[ALL_ANSWERED])?;
    task.write()?;

    let mut task = files.task(
        4,
        "Comparison of UDP and TCP",
        "The client alternates between UDP and TCP in random order. It shows which RTT is\n\
         higher, by how much, how certain the result is, and what causes the difference.",
    );
    task.client(&["compare", &udp_url, &tcp_url], &[ALL_ANSWERED])?;
    task.write()?;

    absent_servers(&files, &servers)?;
    packets(&files, &udp_url, &tcp_url)?;

    heading("Counters of the servers", "Counters with the value 0 are not shown.");
    servers.stop()?;
    println!("\nThe demo is complete. Its files are in {}.", shown(&files.directory));
    Ok(())
}

/// Task 5: the cases that need only one host. Also runs some cases in a virtual network, if this system allows one.
fn absent_servers(files: &Files, servers: &Servers) -> Result<()> {
    let mut task = files.task(
        5,
        "A server that does not exist",
        "The client shows what it observes if no server answers, which host reported the\n\
         error, and what the error means. The first example is a server that answers, for\n\
         comparison.",
    );
    let closed_port = closed_port()?;
    task.print("A server that answers:\n\n");
    task.client(&["diagnose", &servers.url("udp")?], &[ALL_ANSWERED])?;
    task.print("\nA closed port:\n\n");
    task.client(&["diagnose", &closed_port], &[NOT_ALL_ANSWERED])?;
    task.print("\nA name that does not exist:\n\n");
    task.client(&["diagnose", "no-such-host.invalid"], &[NOT_ALL_ANSWERED])?;
    if let Err(reason) = can_create_network() {
        task.print(&format!(
            "\nSkipped: hosts that are down, routers and firewalls. These cases need a virtual\n\
             network: Linux, the permission to create network namespaces, and the programs\n\
             unshare, ip, nft and python3. This system reports:\n{reason}\n"
        ));
    } else {
        task.print(
            "\nThe next cases run in a virtual network of three hosts: client (10.78.0.1),\n\
             router (10.78.0.254) and server (10.78.1.2).\n\n",
        );
        let script = workspace::root().join("tests").join("network").join("absent.py");
        let mut lab = Command::new("unshare");
        lab.args(["-Urnm", "python3"]).arg(script);
        for name in [servers.program("udp")?, servers.program("tcp")?, "rtt-client"] {
            lab.arg(program(name).get_program());
        }
        let text = output_with_status(lab.args(LAB_CASES), &[0])?;
        task.print(&format!("{}\n", text.trim_end()));
    }
    task.write()
}

/// The cases of `tests/network/absent.py` that need more than one host.
const LAB_CASES: [&str; 4] = [
    "a host that is down, behind a router",
    "no route from the router",
    "a firewall that drops requests",
    "a server that resets the connection",
];

/// Checks whether this system allows the virtual network of task 5 and has the programs for it. The error is the
/// message of the program that failed.
fn can_create_network() -> Result<(), String> {
    let needs = "mount -t tmpfs tmpfs /run && ip link && nft --version && python3 --version";
    let mut probe = Command::new("unshare");
    match probe.args(["-Urnm", "sh", "-c", needs]).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("unshare: {error}")),
    }
}

/// Task 6: captures on the loopback interface, or in a network namespace if this user may not capture on loopback.
fn packets(files: &Files, udp_url: &str, tcp_url: &str) -> Result<()> {
    let mut task = files.task(
        6,
        "Packet trace",
        "The client captures the packets of one UDP exchange and of one TCP exchange,\n\
         explains each packet, and compares the two protocols.\n\
         \n\
         The times are usually higher than in task 4: the process is new (a cold start),\n\
         and the capture of the packets takes time, too.",
    );
    let capture = files.capture();
    let written = shown(&capture);
    let expected = [ALL_ANSWERED, COULD_NOT_RUN];
    task.client(&["trace", udp_url, tcp_url, "-w", &written], &expected)?;
    if !capture.exists() {
        task.print("\nThe second attempt uses a network namespace with its own servers:\n\n");
        task.client(&["trace", "--lab", "-w", &written], &expected)?;
    }
    if !capture.exists() {
        task.print(
            "\nSkipped: on this system, this user may not capture packets and may not create a\n\
             network namespace.\n",
        );
    }
    task.write()
}

/// An address of this host on which no server listens.
fn closed_port() -> Result<String> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// The directory with the files of this run.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn create() -> Result<Self> {
        let files = Self { directory: workspace::target_directory().join("demo") };
        let directory = &files.directory;
        fs::create_dir_all(directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        // After task 6, the existence of this file shows whether the capture succeeded.
        let _ = fs::remove_file(files.capture());
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn capture(&self) -> PathBuf {
        self.path("task-6.pcapng")
    }

    /// Prints the heading and the introduction of a task.
    fn task(&self, number: u32, title: &str, introduction: &str) -> Task {
        let text = heading(&format!("Task {number}: {title}"), introduction);
        Task { file: self.path(&format!("task-{number}.txt")), text }
    }
}

/// A task. It prints its output and collects a copy for a file.
struct Task {
    file: PathBuf,
    text: String,
}

impl Task {
    fn print(&mut self, text: &str) {
        print!("{text}");
        self.text += text;
    }

    /// Runs the client and prints its command line and its output. An exit status that is not in `expected` is an
    /// error.
    fn client(&mut self, arguments: &[&str], expected: &[i32]) -> Result<()> {
        let mut client = program("rtt-client");
        client.args(arguments);
        self.print(&format!("$ {}\n\n", command_line(&client)));
        let output = output_with_status(&mut client, expected)?;
        self.print(&format!("{}\n", output.trim_end()));
        Ok(())
    }

    fn write(self) -> Result<()> {
        let Self { file, text } = self;
        // A file from an earlier run is replaced only by a complete file.
        let temporary = file.with_extension("tmp");
        fs::write(&temporary, text)
            .and_then(|()| fs::rename(&temporary, &file))
            .with_context(|| format!("writing {}", file.display()))
    }
}

/// Prints a heading and a text, and returns the printed text.
fn heading(title: &str, text: &str) -> String {
    let heading = format!("{title}\n{}\n\n{text}\n\n", "=".repeat(title.chars().count()));
    print!("\n{heading}");
    heading
}

/// The path as text. It is relative if the file is below the current directory.
fn shown(path: &Path) -> String {
    let current = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(current).unwrap_or(path).display().to_string()
}
