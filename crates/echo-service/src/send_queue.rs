//! The bytes in the send queue of a TCP socket. Only Linux reports their number.

#[cfg(all(target_os = "linux", not(portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(portable))))]
mod portable;

#[cfg(all(target_os = "linux", not(portable)))]
pub use linux::unacknowledged_bytes;
#[cfg(not(all(target_os = "linux", not(portable))))]
pub use portable::unacknowledged_bytes;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    #[test]
    fn bytes_count_until_the_peer_has_acknowledged_them() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        assert!(matches!(unacknowledged_bytes(&stream), None | Some(0)));
        stream.set_nonblocking(true).unwrap();
        while stream.write(&[0; 4096]).is_ok() {}
        if cfg!(all(target_os = "linux", not(portable))) {
            assert!(unacknowledged_bytes(&stream).unwrap() > 1);
        }
        // The FIN counts as one byte until the peer has acknowledged it.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        peer.read_to_end(&mut Vec::new()).unwrap();
        let start = Instant::now();
        while unacknowledged_bytes(&stream).is_some_and(|bytes| bytes > 0) {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "the kernel sends no acknowledgement"
            );
            std::thread::yield_now();
        }
    }
}
