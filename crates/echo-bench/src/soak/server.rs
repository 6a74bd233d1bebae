//! A server in the soak test.

use super::WIDTH;
use crate::protocol::Protocol;
use anyhow::{Context as _, Result, ensure};
use child_process::workspace::{self, program};
use child_process::{Server, logged_totals};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The indentation of the counters.
const INDENT: &str = "    ";

/// A running server and the file with its log.
pub(super) struct SoakedServer {
    pub(super) protocol: Protocol,
    pub(super) address: SocketAddr,
    process: Server,
    log: PathBuf,
}

impl SoakedServer {
    /// Starts our server of `protocol`. `role` is a part of the name of its log file.
    pub(super) fn start(protocol: Protocol, role: &str, options: &[&str]) -> Result<Self> {
        let directory = workspace::target_directory().join("soak");
        fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        let log = directory.join(format!("{}-{role}.log", protocol.server()));
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut server = program(protocol.server());
        let process =
            Server::start(server.args(["--listen", "127.0.0.1:0"]).args(options).stderr(file))
                .with_context(|| format!("the log of the server is in {}", log.display()))?;
        let address = process.address.parse()?;
        Ok(Self { protocol, address, process, log })
    }

    pub(super) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Stops the server and prints the counters in its log.
    pub(super) fn stop_and_print(self) -> Result<()> {
        let (protocol, log) = (self.protocol, self.log.clone());
        let text = self.stop()?;
        let totals = logged_totals(&text);
        ensure!(!totals.is_empty(), "{} contains no totals", log.display());
        println!("  {} ({})", protocol.server(), log.display());
        println!("{}", counter_lines(&totals));
        Ok(())
    }

    /// Stops the server and returns its log. A server that panics or that exits with an error status is an error.
    pub(super) fn stop(self) -> Result<String> {
        self.process.terminate()?;
        fs::read_to_string(&self.log).with_context(|| format!("reading {}", self.log.display()))
    }
}

fn counter_lines(totals: &[(&str, u64)]) -> String {
    let fields: Vec<String> =
        totals.iter().map(|(name, count)| format!("{name}={count}")).collect();
    let layout = textwrap::Options::new(WIDTH).initial_indent(INDENT).subsequent_indent(INDENT);
    textwrap::fill(&fields.join(" "), layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_lines_break_between_counters() {
        let totals = [("a_long_counter_name", 123_456); 5];
        let lines = counter_lines(&totals);
        let field = "a_long_counter_name=123456";
        assert_eq!(
            lines.lines().collect::<Vec<_>>(),
            [
                format!("{INDENT}{field} {field}"),
                format!("{INDENT}{field} {field}"),
                format!("{INDENT}{field}")
            ]
        );
    }
}
