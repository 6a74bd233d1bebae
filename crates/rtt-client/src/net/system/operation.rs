//! The operations of the capture and of the private network. An error contains the operation that failed.

use std::{fmt, io};

/// An operation of a packet capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureOperation {
    /// Finding the interface with the route to the server.
    FindInterface,
    /// Creating the packet socket.
    CreateSocket,
    /// Attaching the packet filter.
    AttachFilter,
    /// Setting the socket option with this name.
    SetOption(&'static str),
    /// Binding the packet socket to the interface.
    BindSocket,
    /// Receiving packets.
    Receive,
}

impl fmt::Display for CaptureOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FindInterface => f.write_str("finding the interface"),
            Self::CreateSocket => f.write_str("creating a packet socket"),
            Self::AttachFilter => f.write_str("attaching the packet filter"),
            Self::SetOption(option) => write!(f, "setting the socket option {option}"),
            Self::BindSocket => f.write_str("binding the packet socket"),
            Self::Receive => f.write_str("receiving packets"),
        }
    }
}

/// An operation that creates the private network of `trace --lab`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabOperation {
    /// Creating the user namespace and the network namespace.
    CreateNamespaces,
    /// Writing the file with this path. The file maps the user or the group.
    WriteFile(&'static str),
    /// Activating the loopback interface of the new network namespace.
    ActivateLoopback,
}

impl fmt::Display for LabOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNamespaces => f.write_str("creating the namespaces"),
            Self::WriteFile(path) => write!(f, "writing {path}"),
            Self::ActivateLoopback => f.write_str("activating the loopback interface"),
        }
    }
}

/// An operation that failed, with the system's error.
#[derive(Debug)]
pub(crate) struct FailedOperation<Operation> {
    pub(crate) operation: Operation,
    pub(crate) error: io::Error,
}

/// For `map_err`: adds the operation to the system's error.
pub(crate) fn failed<Operation>(
    operation: Operation,
) -> impl FnOnce(io::Error) -> FailedOperation<Operation> {
    move |error| FailedOperation { operation, error }
}
