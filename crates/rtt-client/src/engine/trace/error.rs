//! [`TraceError`]: why a trace failed.

use crate::engine::output_file::OutputFileError;
use crate::engine::run::RunError;
use crate::model::protocol::DisplayAddress;
use crate::net::system::operation::{CaptureOperation, FailedOperation, LabOperation};
use std::io;
use std::path::PathBuf;

/// The reason why a trace failed. A message does not contain the text of its source. Print the whole chain of
/// sources.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The exchanges could not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The report could not be written.
    #[error("writing the report failed")]
    Report(#[source] io::Error),
    /// The system does not permit the capture.
    #[error(
        "capturing the packets to {address} requires the capability CAP_NET_RAW (grant it with \
         `sudo setcap cap_net_raw+ep PATH-OF-rtt-client`, or use --lab)"
    )]
    NotPermitted {
        /// The address of the server.
        address: DisplayAddress,
        /// The system's error.
        source: io::Error,
    },
    /// The system cannot capture the packets.
    #[error("cannot capture the packets to {address}: {operation} failed")]
    Capture {
        /// The operation that failed.
        operation: CaptureOperation,
        /// The address of the server.
        address: DisplayAddress,
        /// The system's error.
        source: io::Error,
    },
    /// The system cannot create the private network of `--lab`.
    #[error("cannot create a private network: {operation} failed")]
    Lab {
        /// The operation that failed.
        operation: LabOperation,
        /// The system's error.
        source: io::Error,
    },
    /// The capture file cannot be written.
    #[error(transparent)]
    Output(#[from] OutputFileError),
    /// A file cannot be read.
    #[error("cannot read the file {}", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file has another format.
    #[error("{} is neither a pcapng file nor a pcap file", path.display())]
    UnknownFormat {
        /// The path of the file.
        path: PathBuf,
    },
}

impl TraceError {
    /// The error of a capture of the packets to `address`.
    pub(super) fn capture(
        failed: FailedOperation<CaptureOperation>,
        address: DisplayAddress,
    ) -> Self {
        let FailedOperation { operation, error: source } = failed;
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NotPermitted { address, source },
            _ => Self::Capture { operation, address, source },
        }
    }
}

impl From<FailedOperation<LabOperation>> for TraceError {
    fn from(failed: FailedOperation<LabOperation>) -> Self {
        Self::Lab { operation: failed.operation, source: failed.error }
    }
}
