//! Linux: `getsockopt(TCP_INFO)`, which no library decodes to its end.
#![expect(unsafe_code, reason = "the system call fills a buffer of ours")]

use crate::model::tcp_info::{Segments, TcpInfo};
use socket2::Socket;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// More than the structure has in any kernel so far; a longer one is cut, which does no harm.
const BUFFER: usize = 512;

/// What the kernel knows of `socket`'s connection.
pub(crate) fn tcp_info(socket: &Socket) -> Option<TcpInfo> {
    let mut buffer = [0_u8; BUFFER];
    let mut length = libc::socklen_t::try_from(BUFFER).ok()?;
    // SAFETY: the kernel writes at most `length` bytes to `buffer`, which is that long, and how many it
    // wrote to `length`. Both live until the call returns.
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
    Some(decode(&buffer[..written.min(BUFFER)]))
}

/// Takes the fields from where include/uapi/linux/tcp.h puts them; those past the end are absent.
fn decode(info: &[u8]) -> TcpInfo {
    let word = |at: usize| Some(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    let microseconds = |at| word(at).map(|value| Duration::from_micros(value.into()));
    let long_microseconds = |at| long(at).map(Duration::from_micros);
    TcpInfo {
        segment_size: word(16),
        rtt: microseconds(68),
        rtt_variation: microseconds(72),
        congestion_window: word(80),
        retransmissions: word(100).map(u64::from),
        // All ones until there is a first round trip.
        min_rtt: word(148).filter(|value| *value != u32::MAX).and(microseconds(148)),
        busy: long_microseconds(168),
        limited_by_peer: long_microseconds(176),
        limited_by_buffer: long_microseconds(184),
        segments: segments(info),
    }
}

/// `TCPI_OPT_TIMESTAMPS`, in the options' byte.
const TIMESTAMPS: u8 = 1;

fn segments(info: &[u8]) -> Option<Segments> {
    let word = |at: usize| Some(u64::from(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?)));
    let long = |at: usize| Some(u64::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    Some(Segments {
        sent: word(136)?,
        received: word(140)?,
        data_received: word(152)?,
        data_sent: word(156)?,
        bytes_received: long(128)?,
        bytes_sent: long(200)?,
        has_timestamps: info.get(5)? & TIMESTAMPS != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn what_an_older_kernel_does_not_tell_is_absent() {
        let whole = [1; 232];
        assert!(decode(&whole).limited_by_buffer.is_some());
        let older = decode(&whole[..104]);
        assert_eq!(older.retransmissions, Some(0x0101_0101));
        assert_eq!((older.min_rtt, older.busy, older.segments), (None, None, None));
        assert_eq!(decode(&[]), TcpInfo::default());
    }

    #[test]
    fn a_real_connection_has_figures_that_make_sense() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = Socket::from(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let info = tcp_info(&socket).unwrap();
        // RFC 6928: ten segments to begin with.
        assert_eq!(info.congestion_window, Some(10));
        assert_eq!(info.retransmissions, Some(0));
        assert!(info.segment_size.unwrap() >= 536);
        assert!(info.rtt.unwrap() < Duration::from_secs(1));
        // A connection request and its acceptance, and the acknowledgement of that.
        let segments = info.segments.unwrap();
        assert_eq!((segments.sent, segments.data_sent, segments.bytes_sent), (2, 0, 0));
        assert_eq!((segments.data_received, segments.bytes_received), (0, 0));
    }
}
