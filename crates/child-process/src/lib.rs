//! Starts programs of this workspace as child processes and stops them. `xtask` and `echo-bench` use it.
//!
//! Dropping a [`Child`] kills the process. [`end_children_on_signal`] stops all children after Ctrl-C or SIGTERM. On Linux,
//! SIGKILL ends the children too.
//!
//! - [`child`]: a child process, and functions that run a command and wait for its end;
//! - [`mod@print`]: writes to the standard streams without a panic;
//! - [`server`]: an echo server as a child process, and the totals in its log;
//! - [`workspace`]: the directories of the workspace, `cargo`, and the programs that it builds.

pub mod child;
mod parent;
pub mod print;
pub mod server;
pub mod workspace;

pub use child::{
    Child, command_line, end_children_on_signal, output, output_with_status, run, status,
};
pub use server::{Server, logged_totals};

use std::process::ExitStatus;
use std::{fmt, io};

/// The result of an operation on a child process.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on a child process failed.
#[derive(Debug)]
pub enum Error {
    /// The program did not start.
    Start {
        /// The command line.
        command: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// Reading the program's output failed, or waiting for its end failed.
    Communicate {
        /// The command line.
        command: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The program had an unexpected exit status.
    Status {
        /// The command line.
        command: String,
        /// The exit status.
        status: ExitStatus,
    },
    /// A server did not print the line with its address.
    NoAddress {
        /// The command line.
        command: String,
        /// The first line that the server printed.
        line: String,
    },
    /// The operating system refused the handler for Ctrl-C and SIGTERM, or the program already has one.
    SignalHandler(ctrlc::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { command, .. } => write!(f, "cannot start `{command}`"),
            Self::Communicate { command, .. } => {
                write!(f, "cannot read the output or the exit status of `{command}`")
            }
            Self::Status { command, status } => write!(f, "`{command}` ended with {status}"),
            Self::NoAddress { command, line } => write!(
                f,
                "`{command}` did not print the address on which it listens; its first line is {line:?}"
            ),
            Self::SignalHandler(_) => f.write_str("cannot install the handler for Ctrl-C"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start { source, .. } | Self::Communicate { source, .. } => Some(source),
            Self::SignalHandler(source) => Some(source),
            Self::Status { .. } | Self::NoAddress { .. } => None,
        }
    }
}
