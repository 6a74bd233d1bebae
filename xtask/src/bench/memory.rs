//! What an idle TCP connection takes of the server's own memory. The system's share, its sockets, is not in
//! this: it is the same for every server.

use crate::process::{Child, Server, program};
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// How many connections, if the limit on open files lets that many be.
const CONNECTIONS: &str = "15000";

/// What one may take, in bytes.
const AT_MOST: u64 = 1024;

/// Measures and prints.
pub(super) fn run() -> Result<()> {
    if cfg!(not(target_os = "linux")) {
        println!("\nMemory of idle connections: only Linux tells it, left out");
        return Ok(());
    }
    let server =
        Server::start(program("tcp-echo").args(["--listen", "127.0.0.1:0"]).stderr(Stdio::null()))?;
    let before = server.own_memory()?;
    let mut idle = program("xtask");
    idle.args(["load", "idle", &server.address, CONNECTIONS, "1", "0"]);
    let idle = Child::start(idle.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let mut line = String::new();
    BufReader::new(idle.stdout().context("a pipe")?).read_line(&mut line)?;
    let connections: u64 = line.trim().parse().context("how many connections there are")?;
    let after = server.own_memory()?;
    let each = after.saturating_sub(before) / connections.max(1);
    println!(
        "\nTCP: {connections} idle connections, own memory before and after: {before} and {after} bytes"
    );
    let mark = if each <= AT_MOST { "" } else { "  FALLS SHORT" };
    println!("{:<47}{each:>8} B{AT_MOST:>8} B at most{mark}", "     each");
    Ok(())
}
