//! The floor: what the system alone costs. Plain blocking sockets of the standard library, a server and a
//! client, UDP and TCP; and the same spinning on sockets that do not block.
//!
//! `cargo xtask bench` runs them as processes of their own: `xtask floor server udp block 0`.

mod epoll;

use anyhow::{Context as _, Result, bail};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// The length of a request, as in the lab's figures.
pub(crate) const SIZE: usize = 32;

/// Exchanges that are not counted, at the beginning.
const WARM_UP: usize = 1000;

/// Runs one side: `server PROTOCOL block|spin|epoll CPU` or `client PROTOCOL block|spin CPU ADDRESS COUNT`.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let [side, protocol, waiting, cpu, rest @ ..] = arguments else { bail!("too few arguments") };
    let spin = *waiting == "spin";
    pin(cpu.parse()?)?;
    match (*side, *protocol, rest) {
        ("server", "udp", []) => serve_udp(spin),
        ("server", "tcp", []) if *waiting == "epoll" => epoll::serve(),
        ("server", "tcp", []) => serve_tcp(spin),
        ("client", "udp", [address, count]) => {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(address)?;
            socket.set_nonblocking(spin)?;
            measure(count.parse()?, |text| {
                socket.send(text)?;
                retry(|| socket.recv(text)).map(|_| ())
            })
        }
        ("client", "tcp", [address, count]) => {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(spin)?;
            measure(count.parse()?, |text| {
                stream.write_all(text)?;
                let mut read = 0;
                while read < text.len() {
                    read += retry(|| stream.read(&mut text[read..]))?;
                }
                Ok(())
            })
        }
        _ => bail!("no such floor: {arguments:?}"),
    }
}

/// Prints the median of `count` round trips in nanoseconds.
fn measure(count: usize, mut exchange: impl FnMut(&mut [u8]) -> io::Result<()>) -> Result<()> {
    let mut text = [b'x'; SIZE];
    let mut rtts = Vec::with_capacity(count);
    for number in 0..WARM_UP + count {
        let begun = Instant::now();
        exchange(&mut text)?;
        if number >= WARM_UP {
            rtts.push(begun.elapsed());
        }
    }
    rtts.sort_unstable();
    println!("{}", rtts[rtts.len() / 2].as_nanos());
    Ok(())
}

fn serve_udp(spin: bool) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    println!("floor listening on {}", socket.local_addr()?);
    socket.set_nonblocking(spin)?;
    let mut text = vec![0; 65_536];
    loop {
        let (length, peer) = retry(|| socket.recv_from(&mut text))?;
        text[..length].make_ascii_uppercase();
        socket.send_to(&text[..length], peer)?;
    }
}

fn serve_tcp(spin: bool) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("floor listening on {}", listener.local_addr()?);
    let mut text = vec![0; 65_536];
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(spin)?;
        // A peer that breaks off is as good as one that ends.
        while let Ok(length @ 1..) = retry(|| stream.read(&mut text)) {
            text[..length].make_ascii_uppercase();
            if stream.write_all(&text[..length]).is_err() {
                break;
            }
        }
    }
}

/// Asks again for as long as there is nothing; a socket that blocks never says so.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            done => return done,
        }
    }
}

/// Keeps this process on one CPU.
#[cfg(target_os = "linux")]
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut cpus = nix::sched::CpuSet::new();
    cpus.set(cpu)?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus)
        .with_context(|| format!("staying on CPU {cpu}"))
}

/// Elsewhere processes run where the system puts them; the ratios are less steady.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_: usize) -> Result<()> {
    Ok(())
}

/// How long a figure took, for people.
pub(crate) fn microseconds(duration: Duration) -> String {
    format!("{:.2} µs", duration.as_secs_f64() * 1e6)
}
