//! The errors of this package. Each names the command that failed.

use std::process::ExitStatus;
use std::{fmt, io};

/// The result of an operation on a child process.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on a child process failed.
#[derive(Debug)]
pub enum Error {
    /// The program could not be started.
    Start {
        /// The command line.
        command: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The output of the program could not be read, or its end could not be awaited.
    Communicate {
        /// The command line.
        command: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The program ended with an unexpected exit status.
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
    /// The handler for Ctrl-C and SIGTERM could not be installed.
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
