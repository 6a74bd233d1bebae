//! The error queue of a socket: ICMP errors about sent packets, and timestamps of sent packets.
//!
//! # How an ICMP error reaches the client
//!
//! By default, a datagram socket that is not connected receives no ICMP errors. A connected one receives only an
//! error number. With `IP_RECVERR` or `IPV6_RECVERR` (ip(7)), the kernel adds every ICMP error about a packet of the
//! socket to the socket's error queue. The program reads the queue with `recvmsg` and `MSG_ERRQUEUE`. An entry
//! consists of:
//!
//! - A control message with `struct sock_extended_err`. It contains the ICMP type and code, the error number that
//!   the kernel derives from them, and the address of the host that sent the ICMP error.
//! - Data: the beginning of the payload of the packet that caused the error. It contains the number of the request.
//!
//! The queue also contains the timestamps of sent packets (see [`super::timestamps`]). The field `ee_origin`
//! distinguishes the two kinds of entries.
//!
//! While the queue is not empty, `ppoll` reports `POLLERR` and returns immediately. So the program must empty the
//! queue before it waits.

use super::super::NetworkError;
use super::timestamps::wall_clock;
use crate::model::condition::Condition;
use crate::model::icmp::IcmpError;
use crate::net::socket::{OperationError, set_option};
use crate::net::transport::SocketOperation;
use crate::plan::payload::MAX_VERIFIED_LEN;
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::Socket;
use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::time::SystemTime;

/// The maximum number of stored timestamps of sent packets. The oldest are removed. With the default size of the
/// receive buffer, the error queue of a socket holds fewer entries than this.
const MAX_TIMESTAMPS: usize = 4096;

/// The maximum number of stored ICMP errors. The oldest are removed. More errors contain no new information.
const MAX_NETWORK_ERRORS: usize = 1024;

/// The maximum number of entries that one call reads. Any host that can send an ICMP error about a packet of the socket can
/// fill the queue while the program reads it. Without this limit, the read would not end, and the next request would be late.
/// At a fixed rate, the client reads the queue at least once for each request, so fewer entries are in the queue.
const MAX_ENTRIES_PER_READ: usize = 256;

/// The maximum number of stored payload bytes of a packet that caused an error. They include the request's number and its
/// token, also after a timing header. The quotation of an ICMP request starts with its ICMP header.
const QUOTED_LEN: usize = ICMP_HEADER_LEN + MAX_VERIFIED_LEN;

const ICMP_HEADER_LEN: usize = 8;

/// How the kernel handles ICMP errors about the packets of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IcmpErrors {
    /// The kernel adds them to the error queue. The next call on the socket also returns the error.
    Report,
    /// The kernel's implementation of the protocol handles them.
    HandleInKernel,
}

/// Sets `IP_RECVERR` and `IPV6_RECVERR`.
pub(super) fn set_icmp_errors(socket: &Socket, mode: IcmpErrors) -> Result<(), OperationError> {
    let report = mode == IcmpErrors::Report;
    let set_v4 = || Ok(setsockopt(socket, sockopt::Ipv4RecvErr, &report)?);
    let operation = SocketOperation::ReadOption("SO_DOMAIN");
    let domain = socket.domain().map_err(|error| OperationError { operation, error })?;
    if domain != socket2::Domain::IPV6 {
        return set_option("IP_RECVERR", report, set_v4);
    }
    set_option("IPV6_RECVERR", report, || Ok(setsockopt(socket, sockopt::Ipv6RecvErr, &report)?))?;
    // An IPv6 socket can send to an IPv4-mapped address (::ffff:192.0.2.1) over IPv4. It then receives ICMP errors
    // of IPv4. If the socket refuses this option, it cannot send over IPv4, so the error is ignored.
    let _ = set_option("IP_RECVERR", report, set_v4);
    Ok(())
}

/// Stores the entries that were read from a socket's error queue.
#[derive(Debug, Default)]
pub(super) struct ErrorQueue {
    control: Vec<u8>,
    transmitted: VecDeque<(u32, SystemTime)>,
    network_errors: VecDeque<NetworkError>,
}

impl ErrorQueue {
    /// Reads the entries of the socket's queue, at most [`MAX_ENTRIES_PER_READ`]. Later calls read the rest.
    pub(super) fn fetch(&mut self, socket: &Socket) {
        if self.control.is_empty() {
            // Space for a timestamp, and for a `sock_extended_err` with the address of the ICMP error's sender.
            self.control = cmsg_space!([TimeSpec; 3], [u8; 64]);
        }
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let mut quoted = [0; QUOTED_LEN];
        for _ in 0..MAX_ENTRIES_PER_READ {
            let mut data = [IoSliceMut::new(&mut quoted)];
            let control = Some(&mut self.control[..]);
            let Ok(message) = recvmsg::<()>(socket.as_raw_fd(), &mut data, control, flags) else {
                return;
            };
            let entry = Entry::of(message.cmsgs().into_iter().flatten());
            let quoted_len = message.bytes.min(QUOTED_LEN);
            if let (Some(timestamp), Some(id)) = (entry.timestamp, entry.id) {
                push_bounded(&mut self.transmitted, MAX_TIMESTAMPS, (id, timestamp));
            }
            if let Some((icmp, errno, mtu)) = entry.icmp {
                let quoted_payload = quoted[..quoted_len].to_vec();
                let error = NetworkError { icmp, errno, request: None, mtu, quoted_payload };
                push_bounded(&mut self.network_errors, MAX_NETWORK_ERRORS, error);
            }
        }
    }

    /// The time at which the packet with this number was sent, if its timestamp has been fetched.
    pub(super) fn transmitted(&self, id: u32) -> Option<SystemTime> {
        let entry = self.transmitted.iter().rev().find(|(number, _)| *number == id);
        entry.map(|(_, timestamp)| *timestamp)
    }

    /// Removes and returns the fetched ICMP errors, in the order of their arrival.
    pub(super) fn take_network_errors(&mut self) -> Vec<NetworkError> {
        self.network_errors.drain(..).collect()
    }
}

/// The control messages of one entry.
#[derive(Default)]
struct Entry {
    timestamp: Option<SystemTime>,
    /// The number of the packet to which the timestamp belongs.
    id: Option<u32>,
    /// An ICMP error, the kernel's error number for it, and the reported MTU.
    icmp: Option<(IcmpError, i32, Option<u32>)>,
}

impl Entry {
    fn of(messages: impl Iterator<Item = ControlMessageOwned>) -> Self {
        let mut entry = Self::default();
        for message in messages {
            let (error, is_v6, from) = match message {
                ControlMessageOwned::ScmTimestampsns(timestamps) => {
                    entry.timestamp = Some(wall_clock(timestamps.system));
                    continue;
                }
                ControlMessageOwned::Ipv4RecvErr(error, from) => {
                    let ip = from.map(|from| Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr)));
                    (error, false, ip.map(Into::into))
                }
                ControlMessageOwned::Ipv6RecvErr(error, from) => {
                    let ip = from.map(|from| Ipv6Addr::from(from.sin6_addr.s6_addr));
                    (error, true, ip.map(Into::into))
                }
                _ => continue,
            };
            match (error.ee_origin, is_v6) {
                (libc::SO_EE_ORIGIN_TIMESTAMPING, _) => entry.id = Some(error.ee_data),
                (libc::SO_EE_ORIGIN_ICMP, false) | (libc::SO_EE_ORIGIN_ICMP6, true) => {
                    let errno = i32::try_from(error.ee_errno).unwrap_or(0);
                    let (kind, code) = (error.ee_type, error.ee_code);
                    let icmp = IcmpError { is_v6, kind, code, from };
                    // A router that does not implement RFC 1191 reports 0.
                    let mtu = (icmp.condition() == Some(Condition::TooBig) && error.ee_info > 0)
                        .then_some(error.ee_info);
                    entry.icmp = Some((icmp, errno, mtu));
                }
                _ => {}
            }
        }
        entry
    }
}

/// Adds `item`. If the queue is full, its oldest item is removed.
fn push_bounded<T>(queue: &mut VecDeque<T>, limit: usize, item: T) {
    if queue.len() == limit {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    /// Waits until the queue has at least this number of entries, and reads it. Returns the numbers of entries that the calls
    /// read, without the calls that read nothing.
    fn reads(errors: &mut ErrorQueue, socket: &Socket, entries: usize) -> Vec<usize> {
        let mut reads = Vec::new();
        let end = Instant::now() + Duration::from_secs(10);
        while reads.iter().sum::<usize>() < entries && Instant::now() < end {
            errors.fetch(socket);
            let read = errors.take_network_errors().len();
            reads.extend((read > 0).then_some(read));
        }
        reads
    }

    #[test]
    fn one_read_of_a_full_queue_is_limited_and_later_reads_get_the_rest() {
        let unused = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        // The queue has the size of the receive buffer.
        socket.set_recv_buffer_size(4 << 20).unwrap();
        set_icmp_errors(&socket, IcmpErrors::Report).unwrap();
        socket.connect(&unused.into()).unwrap();
        let mut errors = ErrorQueue::default();
        let entries = MAX_ENTRIES_PER_READ + 20;
        let mut sent = 0;
        while sent < entries {
            // Each second call returns the error of the previous datagram instead of sending.
            sent += usize::from(socket.send(b"x").is_ok());
        }
        let reads = reads(&mut errors, &socket, entries);
        assert!(reads.iter().all(|read| *read <= MAX_ENTRIES_PER_READ), "{reads:?}");
        assert!(reads.contains(&MAX_ENTRIES_PER_READ), "{reads:?}");
        assert_eq!(reads.iter().sum::<usize>(), entries, "{reads:?}");
    }

    #[test]
    fn number_of_stored_errors_is_limited() {
        let mut queue = VecDeque::new();
        for number in 0..MAX_NETWORK_ERRORS + 5 {
            push_bounded(&mut queue, MAX_NETWORK_ERRORS, number);
        }
        assert_eq!((queue.len(), queue.front()), (MAX_NETWORK_ERRORS, Some(&5)));
    }
}
