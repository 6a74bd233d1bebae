//! An echo server as a child process, and the totals in its log.

use crate::child::Child;
use crate::{Error, Result};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// The text between the server's name and its address in the first line that the server prints.
const LISTENING_ON: &str = " listening on ";

/// The totals are in the last log line with at least this many numeric fields.
const MIN_TOTALS: usize = 2;

/// A server that is ready for requests. Dropping this value kills the process.
pub struct Server {
    child: Child,
    /// The address and the port on which the server listens.
    pub address: String,
}

impl Server {
    /// Starts `command` and waits until the server prints its address: `udp-echo listening on 127.0.0.1:25000`.
    ///
    /// # Errors
    ///
    /// [`Error::Start`], [`Error::Communicate`], and [`Error::NoAddress`] if the first line contains no address.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = Child::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let mut line = String::new();
        if let Some(stdout) = child.take_stdout() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| child.error(error))?;
        }
        match line.trim_end().split_once(LISTENING_ON) {
            Some((_, address)) => Ok(Self { address: address.to_owned(), child }),
            None => Err(Error::NoAddress { command: child.command().to_owned(), line }),
        }
    }

    /// The process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops the server with SIGTERM. The server then logs its totals. On systems without SIGTERM, this kills the
    /// server, and the log contains no totals.
    ///
    /// # Errors
    ///
    /// [`Error::Communicate`], and [`Error::Status`] if the exit status is not 0.
    pub fn terminate(self) -> Result<()> {
        self.child.terminate()
    }
}

/// The totals in the log of a server that has ended. They are the fields `name=number` of the last line with
/// several such fields. The result is empty if there is no such line.
///
/// ```
/// let log = "00:00:30Z  INFO ending signal=\"SIGTERM\"\n00:00:31Z  INFO totals received=7 answered=6\n";
/// assert_eq!(child_process::logged_totals(log), [("received", 7), ("answered", 6)]);
/// ```
#[must_use]
pub fn logged_totals(log: &str) -> Vec<(&str, u64)> {
    let fields = |line| -> Vec<(&str, u64)> {
        let fields = str::split_whitespace(line).filter_map(|field| field.split_once('='));
        fields.filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect()
    };
    log.lines().rev().map(fields).find(|fields| fields.len() >= MIN_TOTALS).unwrap_or_default()
}
