//! The implementation for Linux: the kernel's timestamp of the arrival (`SO_TIMESTAMPNS`, socket(7)).

use super::{ArrivalTime, Received};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::{Duration, Instant, SystemTime};

/// Receives from one socket, with kernel timestamps.
#[derive(Debug)]
pub struct TimestampedReceiver {
    /// Buffer for the control message that contains the timestamp.
    control: Vec<u8>,
}

impl TimestampedReceiver {
    /// Enables kernel timestamps for `socket`. Returns `None` if the kernel refuses.
    #[must_use]
    pub fn new(socket: &impl AsFd) -> Option<Self> {
        setsockopt(&socket.as_fd(), sockopt::ReceiveTimestampns, &true).ok()?;
        Some(Self { control: cmsg_space!(TimeSpec) })
    }

    /// Receives into `buffer` without waiting.
    ///
    /// # Errors
    ///
    /// The errors of recvmsg(2). `WouldBlock`: no data is available.
    pub fn receive(&mut self, socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
        let mut buffers = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(
            socket.as_fd().as_raw_fd(),
            &mut buffers,
            Some(&mut self.control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let received_at = Instant::now();
        let timestamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(timestamp) => {
                Some(SystemTime::UNIX_EPOCH + Duration::from(timestamp))
            }
            _ => None,
        });
        let arrival = timestamp.map_or(ArrivalTime::Program(received_at), ArrivalTime::Kernel);
        Ok(Received { length: message.bytes, arrival })
    }
}
