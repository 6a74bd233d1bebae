//! Sends the replies of one connection, and stores the part that the kernel has not accepted yet.

use crate::totals::Totals;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Write as _};

/// The output of one connection. The box keeps this type as small as a pointer, because most connections have no
/// pending reply.
#[derive(Default)]
pub(crate) struct ReplyOutput(Option<Box<PendingReply>>);

/// The part of a reply that did not fit into the kernel's send buffer.
struct PendingReply {
    text: Vec<u8>,
    /// Number of bytes of `text` that the kernel has accepted.
    sent: usize,
}

impl ReplyOutput {
    /// Whether the kernel has not accepted the whole reply yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.0.is_some()
    }

    /// Sends `reply`. The part that the kernel does not accept becomes the pending reply. The caller must complete the
    /// pending reply before it sends the next one.
    ///
    /// # Errors
    ///
    /// The error of the write. `WouldBlock` is not an error here.
    pub(crate) fn send(
        &mut self,
        mut stream: &TcpStream,
        reply: &[u8],
        totals: &mut Totals,
    ) -> io::Result<()> {
        let mut sent = 0;
        while sent < reply.len() {
            match stream.write(&reply[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.0 = Some(Box::new(PendingReply { text: reply[sent..].to_vec(), sent: 0 }));
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        totals.bytes_answered += sent as u64;
        Ok(())
    }

    /// Sends as much of the pending reply as the kernel accepts now. Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// The error of the write. `WouldBlock` is not an error here.
    pub(crate) fn send_pending(
        &mut self,
        mut stream: &TcpStream,
        totals: &mut Totals,
    ) -> io::Result<usize> {
        let mut sent = 0;
        while let Some(pending) = &mut self.0 {
            match stream.write(&pending.text[pending.sent..]) {
                Ok(length) => {
                    sent += length;
                    pending.sent += length;
                    totals.bytes_answered += length as u64;
                    if pending.sent == pending.text.len() {
                        self.0 = None;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}
