//! Linux: `SO_TIMESTAMPNS` (socket(7)).

use super::{ArrivalTime, Received};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::{Duration, Instant, SystemTime};

/// Receives from one socket, with the kernel's stamps.
#[derive(Debug)]
pub struct TimestampedReceiver {
    control: Vec<u8>,
}

impl TimestampedReceiver {
    /// Has the kernel stamp what `socket` receives from now on; nothing, where it won't.
    #[must_use]
    pub fn new(socket: &impl AsFd) -> Option<Self> {
        setsockopt(&socket.as_fd(), sockopt::ReceiveTimestampns, &true).ok()?;
        Some(Self { control: cmsg_space!(TimeSpec) })
    }

    /// Receives into `buffer`, without waiting.
    ///
    /// # Errors
    ///
    /// As recvmsg(2) has them; `WouldBlock` where there is nothing.
    pub fn receive(&mut self, socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
        let mut place = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(
            socket.as_fd().as_raw_fd(),
            &mut place,
            Some(&mut self.control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let read = Instant::now();
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => {
                Some(SystemTime::UNIX_EPOCH + Duration::from(stamp))
            }
            _ => None,
        });
        let arrival = stamp.map_or(ArrivalTime::Program(read), ArrivalTime::Kernel);
        Ok(Received { length: message.bytes, arrival })
    }
}
