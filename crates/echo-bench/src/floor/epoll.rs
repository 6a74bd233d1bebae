//! The floor for many TCP connections: one thread, one buffer, and epoll as in the example of epoll(7).

use anyhow::Result;

/// Prints the address and answers requests until the process is ended.
#[cfg(target_os = "linux")]
pub(super) fn serve() -> Result<()> {
    use super::server::BUFFER_SIZE;
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("floor listening on {}", listener.local_addr()?);
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    // 0 marks the listener. No connection has descriptor 0, which is stdin.
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    // The index is the descriptor. Descriptors are small numbers, so this is the fastest look-up.
    let mut streams = Vec::new();
    let mut text = vec![0; BUFFER_SIZE];
    let mut events = vec![EpollEvent::empty(); 1024];
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            if event.data() == 0 {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let descriptor = usize::try_from(stream.as_raw_fd())?;
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, descriptor as u64))?;
                if streams.len() <= descriptor {
                    streams.resize_with(descriptor + 1, || None);
                }
                streams[descriptor] = Some(stream);
                continue;
            }
            let slot = &mut streams[usize::try_from(event.data())?];
            let Some(stream) = slot else { continue };
            let answered = stream.read(&mut text).and_then(|length| {
                text[..length].make_ascii_uppercase();
                stream.write_all(&text[..length]).map(|()| length)
            });
            // Close the connection at the end of the stream, after an error, and if the peer does not read.
            if !matches!(answered, Ok(1..)) {
                *slot = None;
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn serve() -> Result<()> {
    anyhow::bail!("epoll needs Linux")
}
