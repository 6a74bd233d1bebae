//! Linux: a socket's error queue, where the kernel puts what the network says about packets that were
//! sent, and the stamps of their leaving (ip(7), `IP_RECVERR`; timestamping.rst).

use super::NetworkError;
use crate::model::icmp::IcmpError;
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::Socket;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, SystemTime};

/// For how many of the latest packets that left the stamps are kept: more than a socket's error queue
/// has room for.
const MOST_STAMPS: usize = 4096;

/// How many of the latest ICMP errors are kept until somebody asks: more than that have said it all.
const MOST_NOTICES: usize = 1024;

/// How much of a packet that was not delivered is kept, in bytes: its number is in there.
const QUOTED: usize = 64;

/// What the kernel has told about packets that were sent.
#[derive(Debug, Default)]
pub(super) struct ErrorQueue {
    control: Vec<u8>,
    transmitted: VecDeque<(u32, SystemTime)>,
    network_errors: VecDeque<NetworkError>,
}

/// Has the kernel keep ICMP errors about what `socket` sends, or keep them to itself again.
pub(super) fn set_receive_errors(socket: &Socket, keep: bool) -> io::Result<()> {
    let is_v6 = socket.domain()? == socket2::Domain::IPV6;
    if is_v6 {
        setsockopt(socket, sockopt::Ipv6RecvErr, &keep)?;
        // An address of IPv4 in one of IPv6 gets errors of IPv4's; a socket that knows none needs none.
        let _ = setsockopt(socket, sockopt::Ipv4RecvErr, &keep);
    } else {
        setsockopt(socket, sockopt::Ipv4RecvErr, &keep)?;
    }
    Ok(())
}

impl ErrorQueue {
    /// Takes everything out of the socket's queue.
    pub(super) fn fetch(&mut self, socket: &Socket) {
        if self.control.is_empty() {
            // Room for the stamps and for the error that bears their number; the latter has an address.
            self.control = cmsg_space!([TimeSpec; 3], [u8; 64]);
        }
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let mut quoted = [0; QUOTED];
        loop {
            let mut place = [IoSliceMut::new(&mut quoted)];
            let control = Some(&mut self.control[..]);
            let Ok(message) = recvmsg::<()>(socket.as_raw_fd(), &mut place, control, flags) else {
                return;
            };
            let (mut stamp, mut id, mut icmp) = (None, None, None);
            for control in message.cmsgs().into_iter().flatten() {
                match control {
                    ControlMessageOwned::ScmTimestampsns(stamps) => {
                        stamp = Some(wall_clock(stamps.system));
                    }
                    ControlMessageOwned::Ipv4RecvErr(error, from) => {
                        let from =
                            from.map(|from| Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr)));
                        match error.ee_origin {
                            libc::SO_EE_ORIGIN_TIMESTAMPING => id = Some(error.ee_data),
                            libc::SO_EE_ORIGIN_ICMP => {
                                icmp = Some((error, false, from.map(Into::into)));
                            }
                            _ => {}
                        }
                    }
                    ControlMessageOwned::Ipv6RecvErr(error, from) => {
                        let from = from.map(|from| Ipv6Addr::from(from.sin6_addr.s6_addr));
                        match error.ee_origin {
                            libc::SO_EE_ORIGIN_TIMESTAMPING => id = Some(error.ee_data),
                            libc::SO_EE_ORIGIN_ICMP6 => {
                                icmp = Some((error, true, from.map(Into::into)));
                            }
                            _ => {}
                        }
                    }
                    _ => {}
                }
            }
            let length = message.bytes.min(QUOTED);
            if let (Some(stamp), Some(id)) = (stamp, id) {
                keep(&mut self.transmitted, MOST_STAMPS, (id, stamp));
            }
            if let Some((error, is_v6, from)) = icmp {
                let icmp = IcmpError { is_v6, kind: error.ee_type, code: error.ee_code, from };
                let errno = i32::try_from(error.ee_errno).unwrap_or(0);
                let quoted_payload = quoted[..length].to_vec();
                keep(
                    &mut self.network_errors,
                    MOST_NOTICES,
                    NetworkError { icmp, errno, quoted_payload },
                );
            }
        }
    }

    /// When the packet with that number left, if the kernel has said so.
    pub(super) fn transmitted(&self, id: u32) -> Option<SystemTime> {
        self.transmitted.iter().rev().find(|(of, _)| *of == id).map(|(_, stamp)| *stamp)
    }

    /// The ICMP errors that have come since the last time, in their order.
    pub(super) fn network_errors(&mut self) -> Vec<NetworkError> {
        self.network_errors.drain(..).collect()
    }
}

fn keep<T>(queue: &mut VecDeque<T>, most: usize, item: T) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}

pub(super) fn wall_clock(stamp: TimeSpec) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from(stamp)
}
