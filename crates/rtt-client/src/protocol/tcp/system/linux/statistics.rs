//! `getsockopt(TCP_INFO)`: the kernel's information about a TCP connection.
//!
//! An older kernel returns a shorter structure. `libc::tcp_info` has no way to mark fields as absent. So this file
//! uses only the offsets of its fields, and decodes the bytes that the kernel returned.
#![expect(unsafe_code, reason = "no safe function returns the length that the kernel has written")]

use crate::model::traffic::{KernelStatistics, Segments};
use libc::tcp_info as Raw;
use socket2::Socket;
use std::mem::offset_of;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// The size of the buffer, in bytes. The structure of every kernel so far is smaller. The kernel does not write more
/// bytes than this.
const BUFFER_LEN: usize = 512;

/// Reads the kernel's information about the connection of `socket`.
pub(in crate::protocol::tcp) fn statistics(socket: &Socket) -> Option<KernelStatistics> {
    let mut buffer = [0_u8; BUFFER_LEN];
    let mut length = libc::socklen_t::try_from(BUFFER_LEN).ok()?;
    // SAFETY: `buffer` has `length` bytes, and the kernel writes at most `length` bytes to it. It writes the number of
    // these bytes to `length`. `buffer` and `length` live until the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let written = usize::try_from(length).ok().filter(|_| result == 0)?;
    Some(decode(&buffer[..written.min(BUFFER_LEN)]))
}

/// Entry point for the fuzz target `kernel`: decodes any bytes.
#[cfg(fuzzing)]
pub fn decode_any_statistics(info: &[u8]) {
    decode(info);
}

/// Decodes `struct tcp_info` (include/uapi/linux/tcp.h). A field after the end of `info` is absent.
fn decode(info: &[u8]) -> KernelStatistics {
    let word = |at: usize| Some(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    let microseconds = |at| word(at).map(|value| Duration::from_micros(value.into()));
    let long_microseconds = |at| long(at).map(Duration::from_micros);
    KernelStatistics {
        segment_size: word(offset_of!(Raw, tcpi_snd_mss)),
        rtt: microseconds(offset_of!(Raw, tcpi_rtt)),
        rtt_variation: microseconds(offset_of!(Raw, tcpi_rttvar)),
        congestion_window: word(offset_of!(Raw, tcpi_snd_cwnd)),
        retransmissions: word(offset_of!(Raw, tcpi_total_retrans)).map(u64::from),
        // Until the kernel has measured a round trip, all bits of this value are set.
        min_rtt: word(offset_of!(Raw, tcpi_min_rtt))
            .filter(|value| *value != u32::MAX)
            .and(microseconds(offset_of!(Raw, tcpi_min_rtt))),
        busy: long_microseconds(offset_of!(Raw, tcpi_busy_time)),
        limited_by_peer: long_microseconds(offset_of!(Raw, tcpi_rwnd_limited)),
        limited_by_buffer: long_microseconds(offset_of!(Raw, tcpi_sndbuf_limited)),
        segments: segments(info),
    }
}

/// `TCPI_OPT_TIMESTAMPS`, a bit of `tcpi_options`.
const TIMESTAMPS_OPTION: u8 = 1;

fn segments(info: &[u8]) -> Option<Segments> {
    let word = |at: usize| Some(u64::from(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?)));
    let long = |at: usize| Some(u64::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    Some(Segments {
        sent: word(offset_of!(Raw, tcpi_segs_out))?,
        received: word(offset_of!(Raw, tcpi_segs_in))?,
        data_received: word(offset_of!(Raw, tcpi_data_segs_in))?,
        data_sent: word(offset_of!(Raw, tcpi_data_segs_out))?,
        bytes_received: long(offset_of!(Raw, tcpi_bytes_received))?,
        bytes_sent: long(offset_of!(Raw, tcpi_bytes_sent))?,
        has_timestamps: info.get(offset_of!(Raw, tcpi_options))? & TIMESTAMPS_OPTION != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn fields_after_the_end_of_a_shorter_structure_are_absent() {
        let complete = [1; 232];
        assert!(decode(&complete).limited_by_buffer.is_some());
        let older = decode(&complete[..104]);
        assert_eq!(older.retransmissions, Some(0x0101_0101));
        assert_eq!((older.min_rtt, older.busy, older.segments), (None, None, None));
        assert_eq!(decode(&[]), KernelStatistics::default());
    }

    #[test]
    fn new_connection_has_the_initial_values_of_linux() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = Socket::from(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let info = statistics(&socket).unwrap();
        // RFC 6928: the initial window is ten segments.
        assert_eq!(info.congestion_window, Some(10));
        assert_eq!(info.retransmissions, Some(0));
        assert!(info.segment_size.unwrap() >= 536);
        assert!(info.rtt.unwrap() < Duration::from_secs(1));
        // The client has sent a SYN and the ACK of the server's SYN, and no data.
        let segments = info.segments.unwrap();
        assert_eq!((segments.sent, segments.data_sent, segments.bytes_sent), (2, 0, 0));
        assert_eq!((segments.data_received, segments.bytes_received), (0, 0));
    }
}
