//! `cargo xtask demo`: the lab's tasks on this machine, one after the other.
//!
//! Everything that it prints comes from the programs that it runs, in this run; a copy of each task's
//! output is left under `target/demo/`.

use crate::process::{self, Server, cargo, target_directory, told};
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
        Ok(Self { programs: target.join("release"), files })
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name).with_extension(env::consts::EXE_EXTENSION))
    }

    fn task(&self, number: u32, title: &str, arguments: &[&str]) -> Result<()> {
        heading(&format!("Task {number}. {title}"));
        let mut client = self.program("rtt-client");
        client.args(arguments);
        println!("$ {}\n", told(&client));
        let output = process::output(&mut client)?;
        print!("{output}");
        let file = self.files.join(format!("task-{number}.txt"));
        let text = format!("$ {}\n\n{output}", told(&client));
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    }
}

fn heading(text: &str) {
    println!("\n{text}\n{}\n", "=".repeat(text.chars().count()));
}
