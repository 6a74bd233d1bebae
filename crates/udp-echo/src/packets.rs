//! Datagrams as the system hands them over and takes them: many in one call, and several of one peer in
//! one piece where both sides can.
//!
//! `linux.rs` has Linux's ways; `portable.rs` is what other systems get, and Linux too when built with
//! `--cfg portable`: one datagram a call, and less told about each.

#[cfg(all(target_os = "linux", not(portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(portable))))]
mod portable;

#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux::Packets;
#[cfg(not(all(target_os = "linux", not(portable))))]
pub(crate) use portable::Packets;

use echo_service::ArrivalTime;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;

/// Room for the longest datagram there is: its length field has 16 bits (RFC 768). What the kernel puts
/// together is no longer.
const LONGEST_DATAGRAM: usize = 65_536;

/// How long to wait for something to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// What has not arrived yet is not waited for.
    NotAtAll,
    /// Until something has, or the socket's time-out is over.
    ForOne,
}

/// What is told of a piece that arrived: a datagram, or several of one peer that the kernel has put
/// together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) peer: SocketAddr,
    /// Whether it was sent to a broadcast or multicast address. Not known everywhere.
    pub(crate) to_many: bool,
    /// How many hops it had left when it arrived (TTL, hop limit). Not known everywhere.
    pub(crate) hops: Option<u8>,
    /// How long it is, in bytes.
    pub(crate) length: usize,
    /// How long every datagram in it is, but for the last, which may be shorter.
    pub(crate) each: usize,
    /// ArrivalTime when it is here.
    pub(crate) since: ArrivalTime,
}

impl Arrival {
    /// How many datagrams it is.
    pub(crate) fn datagrams(&self) -> u64 {
        // An empty datagram is one, too.
        self.length.div_ceil(self.each).max(1) as u64
    }
}

/// A reply, or several that the kernel is to take apart again.
#[derive(Debug)]
#[cfg_attr(
    not(all(target_os = "linux", not(portable))),
    expect(dead_code, reason = "where one datagram comes at a time, each reply is its only one")
)]
pub(crate) struct Reply {
    /// Which of the pieces that were received last it answers.
    pub(crate) to: usize,
    pub(crate) text: Text,
    /// How long every datagram in it is to be, but for the last.
    pub(crate) each: usize,
    /// How many hops it may go, if not as many as is usual.
    pub(crate) hops: Option<u8>,
}

/// Where a reply's text is.
#[derive(Debug)]
pub(crate) enum Text {
    /// In the place of its request.
    InPlace(Range<usize>),
    /// It has become longer or shorter.
    Apart(Vec<u8>),
}

impl Text {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::InPlace(range) => range.len(),
            Self::Apart(text) => text.len(),
        }
    }
}

/// What became of replies: how many datagrams the system took, and how many not, with its reason.
pub(crate) enum Sent {
    Taken(u64),
    Refused(u64, io::Error),
}
