//! Measures the memory that an idle TCP connection needs in our server. The kernel's memory for the socket is not
//! included, because it is the same for every server.

use super::{LIMIT_MISSED, load, our_server};
use crate::load::{Load, Run};
use crate::process::own_memory;
use crate::protocol::Protocol;
use anyhow::{Context as _, Result};
use child_process::Child;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

/// The number of connections. A low limit on open files reduces it.
const CONNECTIONS: usize = 15_000;

/// The maximum for one connection in bytes.
const MAX_BYTES: u64 = 1024;

/// Measures the memory and prints the result.
pub(super) fn run() -> Result<()> {
    if cfg!(not(target_os = "linux")) {
        println!("\nMemory of idle connections: skipped, because this needs Linux");
        return Ok(());
    }
    let server = our_server(Protocol::Tcp)?;
    let before = own_memory(server.id())?;
    let mut idle = load(&Run {
        address: server.address.parse()?,
        cpu: None,
        duration: Duration::ZERO,
        load: Load::Idle { connections: CONNECTIONS },
    })?;
    // The load generator keeps its connections open until this pipe to its stdin closes.
    let idle = Child::start(idle.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let mut line = String::new();
    BufReader::new(idle.take_stdout().context("stdout is not a pipe")?).read_line(&mut line)?;
    let connections: u64 =
        line.trim().parse().context("cannot read the number of idle connections")?;
    let after = own_memory(server.id())?;
    let each = after.saturating_sub(before) / connections.max(1);
    println!("\nTCP: memory of the server with {connections} idle connections");
    println!("{:<47}{before:>8} B", "     before");
    println!("{:<47}{after:>8} B", "     after");
    let mark = if each <= MAX_BYTES { "" } else { LIMIT_MISSED };
    println!("{:<47}{each:>8} B{MAX_BYTES:>8} B at most{mark}", "     per connection");
    Ok(())
}
