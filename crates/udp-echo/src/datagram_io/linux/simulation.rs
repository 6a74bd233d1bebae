//! A simulated kernel, for unit tests and fuzz targets. It reads and writes through the pointers in the headers. It
//! makes no system call, so Miri can check the accesses against the aliasing rules.

#![allow(unsafe_code, reason = "access through the pointers in the headers, as the kernel does")]
#![allow(clippy::unnecessary_cast, reason = "other C libraries have other types for lengths")]

use super::DatagramIo;
use super::control::{CONTROL_LEN, to_u32};
use super::receive::socket_address;
use super::send::MAX_REPLIES;
use crate::datagram_io::Reply;
use std::net::SocketAddr;

/// A buffer that the simulated kernel delivers or sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The other host.
    pub peer: SocketAddr,
    /// One datagram, or several coalesced datagrams.
    pub payload: Vec<u8>,
    /// The bytes of the control messages.
    pub controls: Vec<u8>,
}

impl DatagramIo {
    /// Delivers `datagrams` to the receive buffers.
    pub(crate) fn simulate_arrival(&mut self, datagrams: &[Datagram]) {
        let headers = self.receiver.simulate_receive(datagrams.len());
        for (index, Datagram { peer, payload, controls }) in datagrams.iter().enumerate() {
            let header = headers.pointer(index);
            // SAFETY: as for `recvmmsg`. The assertions check the lengths.
            unsafe {
                let message = (*header).msg_hdr;
                assert!(payload.len() <= (*message.msg_iov).iov_len);
                assert!(controls.len() <= CONTROL_LEN);
                let name_len = match peer {
                    SocketAddr::V4(peer) => {
                        let name = message.msg_name.cast::<libc::sockaddr_in>();
                        (*name).sin_family = address_family(libc::AF_INET);
                        (*name).sin_port = peer.port().to_be();
                        (*name).sin_addr.s_addr = u32::from(*peer.ip()).to_be();
                        size_of::<libc::sockaddr_in>()
                    }
                    SocketAddr::V6(peer) => {
                        let name = message.msg_name.cast::<libc::sockaddr_in6>();
                        (*name).sin6_family = address_family(libc::AF_INET6);
                        (*name).sin6_port = peer.port().to_be();
                        (*name).sin6_addr.s6_addr = peer.ip().octets();
                        size_of::<libc::sockaddr_in6>()
                    }
                };
                let target = (*message.msg_iov).iov_base.cast::<u8>();
                target.copy_from_nonoverlapping(payload.as_ptr(), payload.len());
                let target = message.msg_control.cast::<u8>();
                target.copy_from_nonoverlapping(controls.as_ptr(), controls.len());
                (*header).msg_len = to_u32(payload.len());
                (*header).msg_hdr.msg_namelen = to_u32(name_len);
                (*header).msg_hdr.msg_controllen = controls.len() as _;
            }
        }
    }

    /// Sends `replies`, and returns what was sent.
    pub(crate) fn simulate_departure(&mut self, replies: &[Reply]) -> Vec<Datagram> {
        let mut sent = Vec::new();
        for replies in replies.chunks(MAX_REPLIES) {
            self.sender.write_headers(&self.receiver, replies);
            let headers = self.sender.simulate_send();
            sent.extend((0..replies.len()).map(|index| {
                // SAFETY: as for `sendmmsg`.
                unsafe {
                    let message = (*headers.pointer(index)).msg_hdr;
                    let name = &*message.msg_name.cast();
                    let peer = socket_address(name, message.msg_namelen).expect("an IP address");
                    let iovec = *message.msg_iov;
                    let payload = std::slice::from_raw_parts(iovec.iov_base.cast(), iovec.iov_len);
                    let controls = std::slice::from_raw_parts(
                        message.msg_control.cast(),
                        message.msg_controllen as usize,
                    );
                    let (payload, controls) = (payload.to_vec(), controls.to_vec());
                    Datagram { peer, payload, controls }
                }
            }));
        }
        sent
    }
}

fn address_family(family: libc::c_int) -> libc::sa_family_t {
    family.try_into().expect("the number of a family is small")
}
