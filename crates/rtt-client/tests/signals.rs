//! Signals to the client: each signal, each wait that a signal interrupts, and the figures that a signal requests.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "signals/client.rs"]
mod client;
#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;

use client::{Client, Finished, FullListener, silent, udp_server};
use nix::sys::signal::Signal;
use socket2::Socket;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

/// The effect of a signal on a running series.
#[derive(Clone, Copy)]
enum Effect {
    /// The run continues, without a message.
    None,
    /// The run continues, and prints its figures.
    Figures,
    /// The run ends with its summary.
    Summary,
    /// The signal ends the process. This is the system's default.
    Death,
}

#[test]
fn each_signal_has_its_documented_effect_on_a_series() {
    let server = udp_server();
    let default = ["env", "--default-signal"];
    for (prefix, signal, effect) in [
        (&default[..], Signal::SIGHUP, Effect::Death),
        (&["env", "--ignore-signal=HUP"], Signal::SIGHUP, Effect::None),
        (&["nohup"], Signal::SIGHUP, Effect::None),
        (&default, Signal::SIGINT, Effect::Summary),
        // A shell starts background commands with this setting.
        (&["env", "--ignore-signal=INT,QUIT"], Signal::SIGINT, Effect::Summary),
        (&default, Signal::SIGTERM, Effect::Summary),
        (&default, Signal::SIGQUIT, Effect::Figures),
        (&default, Signal::SIGUSR1, Effect::Figures),
        (&default, Signal::SIGUSR2, Effect::Death),
        (&default, Signal::SIGPIPE, Effect::None),
        (&default, Signal::SIGWINCH, Effect::None),
        (&default, Signal::SIGCONT, Effect::None),
    ] {
        let mut client = Client::start_in(prefix, &["udp", &server, "-i", "10ms"]);
        client.read_to("3 ");
        let case = format!("{prefix:?} {signal}");
        let finished = match effect {
            Effect::Death | Effect::Summary => client.end_with(signal),
            Effect::None | Effect::Figures => {
                client.signal(signal);
                client.read_to("30 ");
                client.end_with(Signal::SIGINT)
            }
        };
        if let Effect::Death = effect {
            assert_eq!(finished.status.signal(), Some(signal as i32), "{case}");
            continue;
        }
        assert_eq!(finished.status.code(), Some(0), "{case}: {}", finished.err);
        assert!(finished.out.contains(" sent, "), "{case}: {}", finished.out);
        assert!(finished.out.contains("\nInterrupted by a signal.\n"), "{case}: {}", finished.out);
        // `nohup` can print a message about its input.
        let messages: Vec<&str> =
            finished.err.lines().filter(|line| !line.starts_with("nohup:")).collect();
        match (effect, &messages[..]) {
            (Effect::Figures, [line]) => {
                assert!(
                    line.starts_with("so far: ") && line.contains(" received, 0 lost, RTT p50 ")
                );
            }
            (_, messages) => assert!(messages.is_empty(), "{case}: {messages:?}"),
        }
    }
}

#[test]
fn figures_are_printed_in_every_format_during_the_wait_for_a_reply() {
    for format in ["text", "json", "csv"] {
        let (socket, address) = silent();
        let arguments = ["udp", &address, "-c", "5", "-i", "0", "-W", "50", "--format", format];
        let mut client = Client::start(&arguments);
        let mut text = [0; 2048];
        let (length, peer) = socket.recv_from(&mut text).unwrap();
        client.signal(Signal::SIGQUIT);
        assert_eq!(client.error_line(), "so far: nothing measured\n", "{format}");
        text.make_ascii_uppercase();
        socket.send_to(&text[..length], peer).unwrap();
        // The client sends the second request after it has processed the reply.
        socket.recv(&mut text).unwrap();
        client.signal(Signal::SIGUSR1);
        let line = client.error_line();
        let start = "so far: 1 sent, 1 received, 0 lost, RTT p50 ";
        assert!(line.starts_with(start) && line.ends_with(" s\n"), "{format}: {line}");
        let finished = client.end_with(Signal::SIGINT);
        assert_eq!((finished.status.code(), finished.err.as_str()), (Some(0), ""), "{format}");
        assert!(!finished.out.contains("so far"), "{format}: {}", finished.out);
    }
}

#[test]
fn commands_without_figures_print_their_state() {
    for command in ["diagnose", "compare"] {
        let (socket, address) = silent();
        let targets = vec![format!("udp://{address}"); if command == "compare" { 2 } else { 1 }];
        let mut arguments = vec![command, "-W", "50"];
        arguments.extend(targets.iter().map(String::as_str));
        let mut client = Client::start(&arguments);
        socket.recv(&mut [0; 2048]).unwrap();
        client.signal(Signal::SIGQUIT);
        let line = client.error_line();
        assert!(line.starts_with("so far: no"), "{command}: {line}");
        let finished = client.end_with(Signal::SIGTERM);
        assert_eq!(finished.status.code(), Some(1), "{command}: {}", finished.err);
        let text = finished.out + &finished.err;
        assert!(text.to_lowercase().contains("interrupted"), "{command}: {text}");
    }
}

#[test]
fn handshake_is_interrupted() {
    let listener = FullListener::new();
    for (arguments, message_is_error) in [
        (&["tcp", &listener.address, "hello", "-W", "50"][..], true),
        (&["tcp", &listener.address, "-c", "5", "-W", "50"], false),
        (&["diagnose", &format!("tcp://{}", listener.address), "-W", "50"], true),
    ] {
        let mut client = Client::start(&[arguments, &["-v"]].concat());
        while !client.error_line().contains("connecting") {}
        client.signal(Signal::SIGQUIT);
        while !client.error_line().starts_with("so far: no") {}
        let Finished { status, out, err } = client.end_with(Signal::SIGINT);
        assert_eq!(status.code(), Some(1), "{arguments:?}: {err}");
        let text = if message_is_error { &err } else { &out };
        assert!(text.to_lowercase().contains("interrupted"), "{arguments:?}: {out}{err}");
        // A request that was not sent does not count.
        assert!(message_is_error || out.contains("0 sent, 0 received, 0 lost"), "{out}");
    }
}

#[test]
fn summary_follows_an_interrupted_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let arguments = ["tcp", &address, "--connection", "each", "-i", "0", "-c", "9", "-W", "50"];
    let mut client = Client::start(&arguments);
    let (mut stream, _) = listener.accept().unwrap();
    let mut text = [0; 2048];
    let length = stream.read(&mut text).unwrap();
    stream.write_all(&text[..length].to_ascii_uppercase()).unwrap();
    // The client waits until the server closes its side of the connection. Meanwhile, the listener becomes full.
    assert_eq!(stream.read(&mut text).unwrap(), 0);
    let listener = FullListener::fill(Socket::from(listener));
    drop(stream);
    client.signal(Signal::SIGQUIT);
    assert!(client.error_line().starts_with("so far: 1 sent, 1 received"));
    let Finished { status, out, err } = client.end_with(Signal::SIGTERM);
    assert_eq!((status.code(), err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("1 sent, 1 received, 0 lost, 0 corrupt"), "{out}");
    assert!(out.contains("Interrupted by a signal."), "{out}");
    drop(listener);
}

#[test]
fn pause_between_requests_is_interrupted() {
    let mut client = Client::start(&["udp", &udp_server(), "-i", "50s"]);
    client.read_to("1 ");
    let Finished { status, out, .. } = client.end_with(Signal::SIGINT);
    assert_eq!(status.code(), Some(0));
    assert!(
        out.contains("1 sent, 1 received") && out.contains("Interrupted by a signal."),
        "{out}"
    );
}

#[test]
fn wait_for_a_reply_is_interrupted_without_a_lost_request() {
    let (socket, address) = silent();
    for more in [&["-c", "9"][..], &["-c", "9", "--spin"], &["--rate", "1"], &["hello"]] {
        let client = Client::start(&[&["udp", &address, "-W", "50"], more].concat());
        socket.recv(&mut [0; 2048]).unwrap();
        let Finished { status, out, err } = client.end_with(Signal::SIGTERM);
        assert_eq!(status.code(), Some(1), "{more:?}");
        let note = "Interrupted: 1 request in flight does not count.";
        assert!((out + &err).contains(note), "{more:?}: {err}");
    }
}

#[test]
fn wait_for_the_close_of_a_connection_is_interrupted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Client::start(&["tcp", &address, "-c", "2", "-i", "0", "-W", "50"]);
    let (mut stream, _) = listener.accept().unwrap();
    let mut text = [0; 2048];
    loop {
        let length = stream.read(&mut text).unwrap();
        if length == 0 {
            break;
        }
        stream.write_all(&text[..length].to_ascii_uppercase()).unwrap();
    }
    let start = Instant::now();
    let Finished { status, out, .. } = client.end_with(Signal::SIGINT);
    // Without the signal, the client waits for one second.
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(status.code(), Some(0));
    // The series was complete before the signal.
    assert!(out.contains("2 sent, 2 received") && !out.contains("Interrupted"), "{out}");
    drop(stream);
}

#[test]
fn wait_for_space_in_the_send_buffer_is_interrupted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // The server does not read, so the buffers of both sides become full.
    for more in [&["-s", "16000", "--rate", "1000"][..], &["-s", "16000000", "-c", "2"]] {
        let client = Client::start(&[&["tcp", &address, "-q", "-W", "50"], more].concat());
        let (stream, _) = listener.accept().unwrap();
        // Wait until no further bytes arrive.
        let mut before = 0;
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let arrived = unread_bytes(&stream);
            if arrived > 0 && arrived == before {
                break;
            }
            before = arrived;
        }
        let Finished { status, out, .. } = client.end_with(Signal::SIGINT);
        assert_eq!(status.code(), Some(1), "{more:?}");
        assert!(out.contains("0 sent, 0 received, 0 lost"), "{more:?}: {out}");
        assert!(out.contains("Interrupted"), "{more:?}: {out}");
    }
}

/// The number of bytes that wait in the receive buffer.
fn unread_bytes(stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 16 * 1024 * 1024];
    stream.peek(&mut buffer).unwrap_or(0)
}

/// A resolver that receives queries and never answers. It ends with the client, its parent process.
const SILENT_RESOLVER: &str = r#"
import os, socket, time
parent = os.getppid()
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.bind(("127.0.0.1", 53))
print("ready", flush=True)
resolver.recv(2048)
print("query", flush=True)
while os.getppid() == parent:
    time.sleep(0.02)
"#;

#[test]
fn name_look_up_is_interrupted() {
    if !namespaces::is_possible("true") {
        return;
    }
    let script = r#"ip link set lo up
        mount -t tmpfs tmpfs /run
        echo nameserver 127.0.0.1 > /run/resolv.conf
        echo hosts: dns > /run/nsswitch.conf
        mount --bind /run/nsswitch.conf /etc/nsswitch.conf
        mount --bind /run/resolv.conf /etc/resolv.conf
        mkfifo /run/ready
        python3 -c "$RESOLVER" > /run/ready &
        exec 3< /run/ready
        read line <&3
        cat <&3 >&2 &
        exec "$@" 3<&-"#;
    for arguments in [
        &["udp", "silent.example", "-c", "5", "-W", "50"][..],
        &["udp", "silent.example", "x", "-W", "50"],
        &["diagnose", "silent.example", "-W", "50"],
    ] {
        let resolver = format!("RESOLVER={SILENT_RESOLVER}");
        let prefix =
            ["env", "--default-signal", &resolver, "unshare", "-Urnm", "sh", "-c", script, "sh"];
        let mut client = Client::start_in(&prefix, arguments);
        assert_eq!(client.error_line(), "query\n");
        client.signal(Signal::SIGQUIT);
        assert!(client.error_line().starts_with("so far: no"));
        let Finished { status, out, err } = client.end_with(Signal::SIGINT);
        assert_eq!(status.code(), Some(1), "{arguments:?}: {err}");
        assert!((out + &err).to_lowercase().contains("interrupted"), "{arguments:?}: {err}");
    }
}

#[test]
fn second_signal_ends_the_process_at_once() {
    let (socket, address) = silent();
    let client = Client::start(&["udp", &address, "-c", "9", "-W", "50"]);
    socket.recv(&mut [0; 2048]).unwrap();
    // Both signals arrive while the process is stopped, so it cannot end after the first one.
    client.signal(Signal::SIGSTOP);
    client.signal(Signal::SIGINT);
    client.signal(Signal::SIGTERM);
    let Finished { status, out, .. } = client.end_with(Signal::SIGCONT);
    assert!([Some(128 + 2), Some(128 + 15)].contains(&status.code()), "{status:?}");
    assert!(!out.contains(" sent, "), "{out}");
}
