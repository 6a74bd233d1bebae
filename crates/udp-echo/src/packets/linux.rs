//! Linux: `recvmmsg` and `sendmmsg`, coalesced datagrams (`UDP_GRO` in, `UDP_SEGMENT` out, udp(7)), the
//! address that a datagram was sent to (`IP_PKTINFO`, `IPV6_PKTINFO`), its hops, and its arrival's time
//! stamp (`SO_TIMESTAMPNS`).
//!
//! Own system calls, because no library has these together: nix allocates for each call, rustix has no
//! packet information, quinn-udp sets don't-fragment and sends to one peer a call.

#![allow(unsafe_code, reason = "system calls with control messages; each use says why it is sound")]
#![allow(
    clippy::unnecessary_cast,
    reason = "lengths and flags have other types with other C libraries"
)]

mod control;

use super::{Arrival, LONGEST_DATAGRAM, Reply, Sent, Text, Wait};
use control::{CONTROL, Control, for_each_control, plain, short, write_controls};
use echo_service::ArrivalTime;
use nix::sys::socket::{SetSockOpt, setsockopt, sockopt};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant, SystemTime};

/// How many pieces are taken in one call. Their room is 2 MiB of address space, and as much memory as has
/// ever been filled of it.
const MESSAGES: usize = 32;

/// After how many pieces that came alone it is asked for several again: to find that there is no second one
/// costs 3 % of a round trip over loopback.
const ALONE: u32 = 8;

/// How many replies are handed over in one call.
const REPLIES: usize = 64;

/// What a socket's two queues may take, in bytes: so many bursts of strangers, and replies to neighbours that
/// do not exist, fit in before others' datagrams don't. `net.core.rmem_max` and `wmem_max` bound it.
const QUEUES: usize = 4 << 20;

/// Places for what arrives, and for what is to be sent.
pub(crate) struct Packets {
    texts: Vec<u8>,
    /// What points from here leads into the vectors below, none of which ever moves or grows.
    arrivals: Vec<libc::mmsghdr>,
    departures: Vec<libc::mmsghdr>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    inlets: Vec<libc::iovec>,
    outlets: Vec<libc::iovec>,
    out_controls: Vec<Control>,
    /// How many arrivals the last call filled in.
    filled: usize,
    read: Instant,
    /// How often only one piece will be asked for yet, because the last one came alone.
    alone: u32,
}

impl Packets {
    pub(crate) fn new() -> Self {
        // SAFETY: all-zero bytes are proper values of these plain structures.
        let (name, inlet, header): (libc::sockaddr_storage, libc::iovec, libc::mmsghdr) =
            unsafe { (zeroed(), zeroed(), zeroed()) };
        let mut packets = Self {
            texts: vec![0; MESSAGES * LONGEST_DATAGRAM],
            arrivals: vec![header; MESSAGES],
            departures: vec![header; REPLIES],
            names: vec![name; MESSAGES],
            controls: vec![Control([0; CONTROL]); MESSAGES],
            inlets: vec![inlet; MESSAGES],
            outlets: vec![inlet; REPLIES],
            out_controls: vec![Control([0; CONTROL]); REPLIES],
            filled: MESSAGES,
            read: Instant::now(),
            alone: 0,
        };
        let texts = packets.texts.chunks_exact_mut(LONGEST_DATAGRAM);
        let places = packets.names.iter_mut().zip(&mut packets.controls).zip(&mut packets.inlets);
        for ((arrival, text), ((name, control), inlet)) in
            packets.arrivals.iter_mut().zip(texts).zip(places)
        {
            inlet.iov_base = text.as_mut_ptr().cast();
            inlet.iov_len = text.len();
            arrival.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            arrival.msg_hdr.msg_control = std::ptr::from_mut(control).cast();
            arrival.msg_hdr.msg_iov = inlet;
            arrival.msg_hdr.msg_iovlen = 1;
        }
        for ((departure, outlet), control) in
            packets.departures.iter_mut().zip(&mut packets.outlets).zip(&mut packets.out_controls)
        {
            departure.msg_hdr.msg_iov = outlet;
            departure.msg_hdr.msg_iovlen = 1;
            departure.msg_hdr.msg_control = std::ptr::from_mut(control).cast();
        }
        packets
    }

    /// Has the kernel tell what it can of what arrives at `socket`, which has this `address` or will.
    pub(crate) fn prepare(socket: &UdpSocket, address: SocketAddr) {
        /// Sets what an older kernel may lack: then it is not told, and goes without.
        fn wish<O: SetSockOpt<Val = bool>>(socket: &UdpSocket, option: O) {
            if let Err(error) = setsockopt(socket, option, &true) {
                tracing::debug!(%error, "a socket option that this kernel does not have");
            }
        }
        // The system gives as much of it as it allows everybody, which is more than without asking.
        let _ = setsockopt(socket, sockopt::RcvBuf, &QUEUES);
        let _ = setsockopt(socket, sockopt::SndBuf, &QUEUES);
        wish(socket, sockopt::UdpGroSegment);
        // A socket with one address of this host's answers from that one and hears nothing sent to many.
        let any = address.ip().is_unspecified();
        if address.is_ipv4() {
            wish(socket, sockopt::Ipv4RecvTtl);
            if any {
                wish(socket, sockopt::Ipv4PacketInfo);
            }
        } else {
            wish(socket, sockopt::Ipv6RecvHopLimit);
            if any {
                wish(socket, sockopt::Ipv6RecvPacketInfo);
            }
        }
    }

    /// Has the kernel stamp what arrives at `socket` from now on.
    pub(crate) fn stamp(socket: &UdpSocket) {
        // Where it won't, replies tell the program's own time.
        let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
    }

    /// Takes what has arrived at `socket`. Returns how many pieces.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        for arrival in &mut self.arrivals[..self.filled] {
            arrival.msg_hdr.msg_namelen = length_of::<libc::sockaddr_storage>();
            arrival.msg_hdr.msg_controllen = CONTROL as _;
        }
        self.filled = 0;
        let wanted = if self.alone == 0 { MESSAGES } else { 1 };
        let flags = match wait {
            Wait::NotAtAll => libc::MSG_DONTWAIT,
            Wait::ForOne => libc::MSG_WAITFORONE,
        };
        // SAFETY: every header points to a name, a control buffer, an inlet and through it a text that
        // this owns, that has the length it says, and that nothing else refers to during the call.
        let taken = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.arrivals.as_mut_ptr(),
                short(wanted),
                flags as _,
                std::ptr::null_mut(),
            )
        };
        self.read = Instant::now();
        self.filled = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
        self.alone = match (wanted, self.filled) {
            (MESSAGES, 1) => ALONE - 1,
            _ => self.alone.saturating_sub(1),
        };
        Ok(self.filled)
    }

    /// What is told of the piece `number`; nothing, if its sender's address is none to answer to.
    pub(crate) fn arrival(&self, number: usize) -> Option<Arrival> {
        let header = &self.arrivals[..self.filled][number];
        let length = header.msg_len as usize;
        let mut arrival = Arrival {
            peer: address(&self.names[number], header.msg_hdr.msg_namelen)?,
            to_many: false,
            hops: None,
            length,
            each: length.max(1),
            since: ArrivalTime::Program(self.read),
        };
        for_each_control(&header.msg_hdr, |level, kind, data| match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let info: libc::in_pktinfo = plain(data);
                // The address in the packet, and the one of this host's that stands for it: another one
                // if the packet was sent to many. The latter is missing of what arrived before it was asked
                // for, at a socket that a supervisor passed; then the kernel refuses to send from a
                // network's broadcast address.
                let to = Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr));
                arrival.to_many = match info.ipi_spec_dst.s_addr {
                    0 => to.is_multicast() || to.is_broadcast(),
                    own => own != info.ipi_addr.s_addr,
                };
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let info: libc::in6_pktinfo = plain(data);
                arrival.to_many = Ipv6Addr::from(info.ipi6_addr.s6_addr).is_multicast();
            }
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                let hops: libc::c_int = plain(data);
                arrival.hops = u8::try_from(hops).ok();
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let each: libc::c_int = plain(data);
                arrival.each = usize::try_from(each).unwrap_or(length).clamp(1, length.max(1));
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                let stamp: libc::timespec = plain(data);
                if let (Ok(seconds), Ok(ns)) = (stamp.tv_sec.try_into(), stamp.tv_nsec.try_into()) {
                    let since = SystemTime::UNIX_EPOCH + Duration::new(seconds, ns);
                    arrival.since = ArrivalTime::Kernel(since);
                }
            }
            _ => {}
        });
        Some(arrival)
    }

    /// The text of the piece `number`.
    pub(crate) fn text(&mut self, number: usize) -> &mut [u8] {
        let length = self.arrivals[..self.filled][number].msg_len as usize;
        &mut self.texts[number * LONGEST_DATAGRAM..][..length]
    }

    /// Sends `replies` to where the pieces that they answer came from, from the address that these were
    /// sent to, and tells what became of each. It does not wait where a send buffer is full: the peer that
    /// filled it would make all others wait too.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        replies: &[Reply],
        told: &mut dyn FnMut(Sent),
    ) {
        for some in replies.chunks(REPLIES) {
            self.send_some(socket, some, told);
        }
    }

    fn send_some(&mut self, socket: &UdpSocket, replies: &[Reply], told: &mut dyn FnMut(Sent)) {
        for ((reply, departure), outlet) in
            replies.iter().zip(&mut self.departures).zip(&mut self.outlets)
        {
            let text = match &reply.text {
                Text::InPlace(range) => &self.texts[reply.to * LONGEST_DATAGRAM..][range.clone()],
                Text::Apart(text) => text,
            };
            outlet.iov_base = text.as_ptr().cast_mut().cast();
            outlet.iov_len = text.len();
            let arrived = &self.arrivals[..self.filled][reply.to].msg_hdr;
            departure.msg_hdr.msg_name = arrived.msg_name;
            departure.msg_hdr.msg_namelen = arrived.msg_namelen;
            write_controls(&mut departure.msg_hdr, arrived, reply);
        }
        let mut next = 0;
        let mut had_error = false;
        let mut to_send_apart = Vec::new();
        while next < replies.len() {
            // SAFETY: every header points to a name, an outlet and a control buffer that this owns, and
            // through the outlet to a text of this or of a reply; all have the length that is said, and
            // the kernel writes to none of them but the headers' lengths.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.departures[next..].as_mut_ptr(),
                    short(replies.len() - next),
                    libc::MSG_DONTWAIT as _,
                )
            };
            if let Ok(sent) = usize::try_from(sent) {
                told(Sent::Taken(replies[next..next + sent].iter().map(datagrams).sum()));
                next += sent;
                had_error = false;
                continue;
            }
            let error = io::Error::last_os_error();
            let is_full = error.kind() == io::ErrorKind::WouldBlock;
            // The error may be an earlier reply's, which the system hands up at the next chance; it has by
            // now, so that this one gets a second.
            if !had_error && !is_full {
                had_error = true;
                continue;
            }
            had_error = false;
            let reply = &replies[next];
            next += 1;
            if datagrams(reply) > 1 && !is_full {
                // A way out that does not take them together: too small packets, no checksums in hardware.
                to_send_apart.extend(apart(reply));
            } else {
                told(Sent::Refused(datagrams(reply), error));
            }
        }
        if !to_send_apart.is_empty() {
            self.send(socket, &to_send_apart, told);
        }
    }
}

/// The datagrams of a reply, each by itself.
fn apart(reply: &Reply) -> impl Iterator<Item = Reply> {
    // Only those that stayed in their place are put together.
    let whole = match &reply.text {
        Text::InPlace(range) => range.clone(),
        Text::Apart(_) => 0..0,
    };
    let (to, each, hops) = (reply.to, reply.each, reply.hops);
    whole.clone().step_by(each).map(move |begin| {
        let text = Text::InPlace(begin..whole.end.min(begin + each));
        Reply { to, text, each, hops }
    })
}

fn datagrams(reply: &Reply) -> u64 {
    reply.text.len().div_ceil(reply.each).max(1) as u64
}

fn length_of<T>() -> libc::socklen_t {
    short(size_of::<T>())
}

fn address(name: &libc::sockaddr_storage, length: libc::socklen_t) -> Option<SocketAddr> {
    // SAFETY: the kernel has written an address of this family and length to a place that has room for any.
    unsafe {
        let place = std::ptr::from_ref(name);
        match libc::c_int::from(name.ss_family) {
            libc::AF_INET if length as usize >= size_of::<libc::sockaddr_in>() => {
                let address = *place.cast::<libc::sockaddr_in>();
                let ip = address.sin_addr.s_addr.to_ne_bytes();
                Some((ip, u16::from_be(address.sin_port)).into())
            }
            libc::AF_INET6 if length as usize >= size_of::<libc::sockaddr_in6>() => {
                let address = *place.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                Some((ip, u16::from_be(address.sin6_port)).into())
            }
            _ => None,
        }
    }
}
