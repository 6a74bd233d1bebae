//! The floor of a TCP server for many connections: one thread, epoll(7) as its manual shows it, one
//! buffer.

use anyhow::Result;

#[cfg(target_os = "linux")]
pub(super) fn serve() -> Result<()> {
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("floor listening on {}", listener.local_addr()?);
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    // By descriptor, which are small numbers, so that finding one costs nothing.
    let mut streams = Vec::new();
    let mut text = vec![0; 65_536];
    let mut events = vec![EpollEvent::empty(); 1024];
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            if event.data() == 0 {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let number = usize::try_from(stream.as_raw_fd())?;
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
                if streams.len() <= number {
                    streams.resize_with(number + 1, || None);
                }
                streams[number] = Some(stream);
                continue;
            }
            let place = &mut streams[usize::try_from(event.data())?];
            let Some(stream) = place else { continue };
            let answered = stream.read(&mut text).and_then(|length| {
                text[..length].make_ascii_uppercase();
                stream.write_all(&text[..length]).map(|()| length)
            });
            // A peer that breaks off, or does not read, is as good as one that ends.
            if !matches!(answered, Ok(1..)) {
                *place = None;
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn serve() -> Result<()> {
    anyhow::bail!("this floor needs Linux")
}
