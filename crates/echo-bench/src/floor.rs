//! The floor: minimal echo programs that exchange the same bytes as our servers and our client. `bench` compares our
//! programs with them in the same run.
//!
//! The programs contain little more than system calls, so most of their time is in the operating system. Our programs
//! need this time, too.
//!
//! Each side runs as a process: `echo-bench floor server udp block 0`.

mod client;
mod server;

use crate::process;
use crate::protocol::Protocol;
use anyhow::Result;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::str::FromStr;

/// The size of a request in bytes.
pub(crate) const SIZE: usize = 32;

/// One side of the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server { protocol: Protocol, waiting: Waiting, cpu: usize },
    Client { protocol: Protocol, waiting: Waiting, cpu: usize, address: SocketAddr, count: usize },
}

/// How a side waits for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// With a blocking system call.
    Block,
    /// With a non-blocking system call that it repeats until data arrives.
    Spin,
    /// With epoll, for many TCP connections (only the TCP server, only Linux).
    Epoll,
}

impl Waiting {
    const ALL: [Self; 3] = [Self::Block, Self::Spin, Self::Epoll];
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "block",
            Self::Spin => "spin",
            Self::Epoll => "epoll",
        })
    }
}

impl FromStr for Waiting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let waiting = Self::ALL.into_iter().find(|waiting| waiting.to_string() == text);
        waiting.ok_or_else(|| "expected block, spin or epoll".to_owned())
    }
}

impl Side {
    /// The arguments with which `echo-bench` runs this side.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let (side, protocol, waiting, cpu) = match self {
            Self::Server { protocol, waiting, cpu } => ("server", protocol, waiting, cpu),
            Self::Client { protocol, waiting, cpu, .. } => ("client", protocol, waiting, cpu),
        };
        let mut arguments = vec!["floor".to_owned(), side.to_owned(), protocol.name().to_owned()];
        arguments.extend([waiting.to_string(), cpu.to_string()]);
        if let Self::Client { address, count, .. } = self {
            arguments.extend([address.to_string(), count.to_string()]);
        }
        arguments
    }
}

/// Runs one side. A server runs until a signal kills its process.
pub(crate) fn run(side: Side) -> Result<()> {
    match side {
        Side::Server { protocol, waiting, cpu } => {
            process::pin(cpu)?;
            server::run(protocol, waiting)
        }
        Side::Client { protocol, waiting, cpu, address, count } => {
            process::pin(cpu)?;
            client::run(protocol, waiting, address, count)
        }
    }
}

/// Repeats a non-blocking `call` until data arrives. A blocking call never returns [`ErrorKind::WouldBlock`], so
/// `call` runs once.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            result => return result,
        }
    }
}
