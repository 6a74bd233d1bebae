//! `cargo xtask demo`: the lab's tasks on this machine, one after the other.
//!
//! Everything that it prints comes from the programs that it runs, in this run; a copy of each task's
//! output is left under `target/demo/`.

use crate::process::{self, Server, cargo, root, target_directory, told};
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// Starts the servers, runs the tasks, ends the servers.
pub(crate) fn run() -> Result<()> {
    let demo = Demo::build()?;
    let udp = Server::start(demo.program("udp-echo").args(["--listen", "127.0.0.1:0"]))?;
    let tcp = Server::start(demo.program("tcp-echo").args(["--listen", "127.0.0.1:0"]))?;
    println!("\nudp-echo listens on {}, tcp-echo on {}.", udp.address, tcp.address);

    demo.task(
        1,
        "UDP round trip: one datagram there, one back",
        &["udp", &udp.address, "hello, world"],
    )?;
    demo.task(
        2,
        "TCP client and server: the same conversation over a connection",
        &["tcp", &tcp.address, "straße, καφές, кофе, ŉ: all have capitals"],
    )?;
    demo.task(
        3,
        "TCP round trip: the handshake, the request, and both together",
        &["tcp", &tcp.address, "hello, world"],
    )?;

    demo.task(
        4,
        "Compare: which RTT is higher, by how much, how sure, and why",
        &["compare", &format!("udp://{}", udp.address), &format!("tcp://{}", tcp.address)],
    )?;

    demo.absent_servers(&udp.address)?;

    demo.packets(&udp.address, &tcp.address)?;

    heading("The servers' totals");
    udp.end()?;
    tcp.end()?;
    println!("\nA copy of each task's output is in {}.", demo.files.display());
    Ok(())
}

struct Demo {
    programs: PathBuf,
    files: PathBuf,
}

impl Demo {
    fn build() -> Result<Self> {
        println!("Building the servers and the client (the first time takes a minute or two) ...");
        let mut build = cargo();
        build.args(["build", "--release", "--quiet"]);
        for package in ["udp-echo", "tcp-echo", "rtt-client"] {
            build.args(["--package", package]);
        }
        process::run(&mut build)?;
        let target = target_directory();
        let files = target.join("demo");
        fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
        // One that an earlier run left is not this run's.
        let _ = fs::remove_file(files.join("task-6.pcapng"));
        Ok(Self { programs: target.join("release"), files })
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name).with_extension(env::consts::EXE_EXTENSION))
    }

    fn task(&self, number: u32, title: &str, arguments: &[&str]) -> Result<()> {
        heading(&format!("Task {number}. {title}"));
        let text = self.client(arguments, &[0])?;
        self.keep(number, &text)
    }

    /// Runs the client, shows what it prints and returns that with its command. Another exit status than one of
    /// `expected` is an error.
    fn client(&self, arguments: &[&str], expected: &[i32]) -> Result<String> {
        let mut client = self.program("rtt-client");
        client.args(arguments);
        println!("$ {}\n", told(&client));
        let output = process::output_ending_with(&mut client, expected)?;
        print!("{output}");
        Ok(format!("$ {}\n\n{output}", told(&client)))
    }

    fn keep(&self, number: u32, text: &str) -> Result<()> {
        let file = self.files.join(format!("task-{number}.txt"));
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    }

    /// Task 6: with the servers that run, or where capturing is not permitted, in a network of its own.
    fn packets(&self, udp: &str, tcp: &str) -> Result<()> {
        heading("Task 6. Trace: the packets of one exchange over UDP and one over TCP");
        let file = self.files.join("task-6.pcapng");
        let write = file.to_string_lossy();
        let targets = [format!("udp://{udp}"), format!("tcp://{tcp}")];
        let mut text = self.client(&["trace", &targets[0], &targets[1], "-w", &write], &[0, 2])?;
        if !file.exists() {
            text += &self.client(&["trace", "--lab", "-w", &write], &[0, 2])?;
        }
        if !file.exists() {
            let left_out = "Left out: capturing is not permitted here, and there can be no network of its own.\n";
            print!("{left_out}");
            text += left_out;
        }
        self.keep(6, &text)
    }

    /// Task 5: what this host can show by itself, and the rest in a lab of namespaces, if there can be one.
    fn absent_servers(&self, answering: &str) -> Result<()> {
        heading("Task 5. A server that does not exist: what the client sees, and who said so");
        let nobody = process::closed_port()?;
        let mut text = self.client(&["diagnose", &format!("udp://{answering}")], &[0])?;
        text += &self.client(&["diagnose", &nobody], &[1])?;
        text += &self.client(&["diagnose", "no-such-host.invalid"], &[1])?;
        let script = root().join("tests").join("network").join("absent.py");
        let needs = "mount -t tmpfs tmpfs /run && ip link && nft --version && python3 --version";
        let mut probe = Command::new("unshare");
        let is_possible = process::succeeds(probe.args(["-Urnm", "sh", "-c", needs]));
        if is_possible {
            println!("The rest in a lab of three network namespaces: client, router, server.\n");
            let mut lab = Command::new("unshare");
            lab.args(["-Urnm", "python3"]).arg(script);
            for program in ["udp-echo", "tcp-echo", "rtt-client"] {
                lab.arg(self.program(program).get_program());
            }
            let output = process::output(lab.args(ELSEWHERE))?;
            print!("{output}");
            text += &output;
        } else {
            let left_out = "Left out: hosts that are down, routers and firewalls. They are shown in a lab of \
                            network namespaces, which takes Linux, unshare, ip, nft and python3.\n";
            print!("{left_out}");
            text += left_out;
        }
        self.keep(5, &text)
    }
}

/// Rows of the lab that a single host can't show: see `tests/network/absent.py`.
const ELSEWHERE: [&str; 4] = [
    "a host that is down, behind a router",
    "no route from the router",
    "a firewall that drops requests",
    "a server that resets the connection",
];

fn heading(text: &str) {
    println!("\n{text}\n{}\n", "=".repeat(text.chars().count()));
}
