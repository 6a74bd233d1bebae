//! A client that receives signals, and the servers for it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The client ends within about 150 ms after a signal. On a machine under load, it takes longer. All interrupted waits
/// are much longer than this.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// A running client. Dropping it ends the process.
pub struct Client {
    process: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
}

/// The result of a client that has ended.
pub struct Finished {
    pub status: ExitStatus,
    /// The output that the test has not read before.
    pub out: String,
    pub err: String,
}

impl Client {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(&["env", "--default-signal"], arguments)
    }

    /// Starts the client with a program that changes its environment, for example `env`.
    pub fn start_in(prefix: &[&str], arguments: &[&str]) -> Self {
        let mut process = Command::new(prefix[0])
            .args(&prefix[1..])
            .arg(CLIENT)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let err = BufReader::new(process.stderr.take().unwrap());
        Self { process, out, err }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }

    /// Reads lines from stdout until one of them starts with `start`.
    pub fn read_to(&mut self, start: &str) {
        let mut line = String::new();
        while !line.trim_start().starts_with(start) {
            line.clear();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "no line starts with {start}");
        }
    }

    pub fn error_line(&mut self) -> String {
        let mut line = String::new();
        self.err.read_line(&mut line).unwrap();
        line
    }

    /// Sends a signal, and waits for the end of the process.
    pub fn end_with(self, signal: Signal) -> Finished {
        let start = Instant::now();
        self.signal(signal);
        let finished = self.wait();
        assert!(start.elapsed() < MAX_DELAY, "{signal} took {:?}", start.elapsed());
        finished
    }

    fn wait(mut self) -> Finished {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.err.read_to_string(&mut err).unwrap();
        Finished { status: self.process.wait().unwrap(), out, err }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a UDP server that replies in upper case. Returns its address.
pub fn udp_server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut text = [0; 2048];
        while let Ok((length, client)) = socket.recv_from(&mut text) {
            text[..length].make_ascii_uppercase();
            socket.send_to(&text[..length], client).unwrap();
        }
    });
    address
}

/// A UDP socket that never replies. The test waits for the requests.
pub fn silent() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

/// A listener that answers no further connection requests, because the queue of connections is full. Linux drops the
/// SYN.
pub struct FullListener {
    pub address: String,
    _sockets: Vec<Socket>,
}

impl FullListener {
    pub fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Self::fill(listener)
    }

    /// Fills the queue of `listener`.
    pub fn fill(listener: Socket) -> Self {
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            sockets.push(socket);
        }
        Self { address: address.as_socket().unwrap().to_string(), _sockets: sockets }
    }
}
