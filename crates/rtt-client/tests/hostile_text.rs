//! Text from the command line, from peers and from files never controls a terminal: each command runs with control
//! characters and format characters in each place that can contain text.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "command/output.rs"]
#[allow(dead_code, reason = "this test makes no snapshots")]
mod output;

use output::{Finished, client};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::thread;

/// Characters that control a terminal, or that change the order of visible text, or that are invisible. In this order: a title
/// of the window, a colour, C1 codes, the right-to-left override, isolates, a zero-width space, a byte order mark, a soft
/// hyphen, a line separator, tags.
const HOSTILE: &str = "\u{1b}]0;title\u{7}\u{1b}[31m\u{9b}2J\u{85}\u{202e}\u{2066}\u{200b}\u{feff}\u{ad}\u{2028}\u{e0041}";

/// The part of [`HOSTILE`] that a host name may contain: no control characters and no separators.
const HOSTILE_NAME: &str = "\u{202e}\u{2066}\u{200b}\u{feff}\u{ad}\u{e0041}";

/// Whether a terminal shows `character` as it is. The outputs of the tests have no colours.
fn is_harmless(character: char) -> bool {
    let is_hidden = matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    matches!(character, '\n' | '\t') || !(is_hidden || character.is_control())
}

/// Starts a UDP server. Each reply is the result of `reply` for the request.
fn udp_server(reply: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut text = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut text) {
            // The client may have closed its socket.
            let _ = socket.send_to(&reply(&text[..length]), client);
        }
    });
    address
}

/// Starts a TCP server that replies to each connection with hostile text.
fn tcp_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // The client may have closed its socket.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(HOSTILE.as_bytes());
        }
    });
    address
}

/// Runs the client. Asserts that stdout and stderr contain only harmless characters, and returns both.
fn run(arguments: &[&str], input: &str) -> String {
    let Finished { out, err, .. } = client(arguments, input);
    let text = out + &err;
    let found: Vec<char> = text.chars().filter(|character| !is_harmless(*character)).collect();
    assert!(found.is_empty(), "{arguments:?} wrote {found:?}:\n{text:?}");
    text
}

#[test]
fn arguments_do_not_reach_the_output_unescaped() {
    thread::scope(|scope| {
        for hostile in [HOSTILE, HOSTILE_NAME] {
            scope.spawn(move || check_arguments(&format!("evil{hostile}x")));
        }
    });
}

/// Runs all commands with `text` in all arguments that can contain text.
fn check_arguments(text: &str) {
    let (bracketed, zone, with_port) =
        (format!("[{text}]:1"), format!("fe80::1%{text}"), format!("{text}:1"));
    let (port, url, scheme) =
        (format!("localhost:{text}"), format!("udp://{text}"), format!("{text}://localhost"));
    let path = format!("/no-such-directory/{text}");
    let option = format!("--{text}");
    let targets = [text, &bracketed, &zone, &with_port, &port, &url, &scheme];
    // Most commands wait for a timeout, so the targets do not share their waits.
    thread::scope(|scope| {
        for target in targets {
            scope.spawn(move || check_target(target));
        }
    });
    for arguments in [
        &[text][..],
        &[&option],
        &["udp", &option],
        &["udp", "127.0.0.1", "hello", text],
        &["udp", "-c", text],
        &["udp", "-i", text],
        &["udp", "--rate", text],
        &["udp", "-W", text],
        &["udp", "-B", text],
        &["udp", "-B", &zone],
        &["udp", "--ttl", text],
        &["udp", "--pin", text],
        &["udp", "--format", text],
        &["udp", "--connection", text],
        &["compare", "--confidence", text],
        &["compare", "--seed", text],
        &["trace", "-r", &path],
        &["trace", "-r", "Cargo.toml", &option],
        &["trace", "-w", &path, "127.0.0.1:1"],
        &["protocols", text],
        &["help", text],
    ] {
        let output = run(arguments, "");
        assert!(output.contains("\\u{"), "{arguments:?}: the escapes are visible: {output}");
    }
}

/// Runs all commands that have a target with `target`.
fn check_target(target: &str) {
    for command in [
        &["udp", target, "hello", "-W", "1"][..],
        &["udp", target, "-c", "2", "-i", "0", "-W", "1", "-vv"],
        &["udp", target, "-c", "2", "-i", "0", "-W", "1", "--format", "json"],
        &["udp", target, "-c", "2", "-i", "0", "-W", "1", "--format", "csv"],
        &["tcp", target, "hello", "-W", "1"],
        &["icmp", target, "-W", "1"],
        &["compare", target, target, "-c", "2", "-W", "1"],
        &["compare", "127.0.0.1:1", target, "-c", "2", "-W", "1", "--format", "json"],
        &["diagnose", target, "-W", "1"],
        &["diagnose", target, "-W", "1", "--format", "json"],
        &["trace", target, "-W", "1"],
        &["trace", target, "-W", "1", "--format", "json"],
    ] {
        let output = run(command, "");
        assert!(output.len() > 10, "{command:?}: {output}");
    }
}

#[test]
fn messages_and_replies_do_not_reach_the_output_unescaped() {
    let upper = udp_server(|request| String::from_utf8_lossy(request).to_uppercase().into_bytes());
    let rude = udp_server(|_| HOSTILE.as_bytes().to_vec());
    let invalid = udp_server(|_| [b"\xff\xc2", HOSTILE.as_bytes()].concat());
    let stream = tcp_server();
    thread::scope(|scope| {
        for udp in [&upper, &rude, &invalid] {
            scope.spawn(|| check_replies(udp));
        }
    });
    let url = format!("tcp://{stream}");
    for format in ["text", "json"] {
        run(&["tcp", &stream, HOSTILE, "-W", "100ms", "--format", format, "-vv"], "");
        run(&["tcp", &stream, "-c", "2", "-i", "0", "-W", "100ms", "--format", format], "");
        run(&["diagnose", &url, "-W", "100ms", "--format", format], "");
        run(&["trace", &url, "-W", "100ms", "--format", format], "");
    }
}

/// Runs all commands with the UDP server `udp`, which sends hostile replies.
fn check_replies(udp: &str) {
    let url = format!("udp://{udp}");
    for format in ["text", "json", "csv"] {
        run(&["udp", udp, HOSTILE, "-W", "100ms", "--format", format, "-vv"], "");
        run(&["udp", udp, "-W", "100ms", "--format", format], HOSTILE);
        let series = ["udp", udp, HOSTILE, "-c", "2", "-i", "0", "-W", "100ms", "--format", format];
        run(&[&series[..], &["-vv"]].concat(), "");
        run(&["compare", &url, &url, "-c", "3", "-W", "100ms", "--format", format], "");
    }
    for format in ["text", "json"] {
        run(&["diagnose", udp, "-W", "100ms", "--format", format, "-vv"], "");
        run(&["trace", &url, "-W", "100ms", "--format", format], "");
    }
}

#[test]
fn json_contains_hostile_text_as_escapes_that_have_the_same_value() {
    let echo = udp_server(<[u8]>::to_vec);
    // The text has no lower-case letters, so the reply is correct.
    let message = "\u{202e}A\u{e0041}";
    let output = run(&["udp", &echo, message, "--format", "json"], "");
    let event = output.lines().find(|line| line.contains("\"type\":\"exchange\"")).expect(&output);
    assert!(event.contains(r"\u202eA\udb40\udc41"), "{event}");
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    assert_eq!(event["reply"], message, "{event}");
}

/// A pcapng file (draft-ietf-opsawg-pcapng) whose names and comments are hostile.
fn hostile_capture() -> Vec<u8> {
    let option = |code: u16, value: &[u8]| {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        let length = u16::try_from(value.len()).unwrap();
        [&code.to_le_bytes(), &length.to_le_bytes(), value, &padding].concat()
    };
    let block = |kind: u32, body: &[u8]| {
        let length = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
        [&kind.to_le_bytes(), &length, body, &length].concat()
    };
    let text = HOSTILE.as_bytes();
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8], &option(1, text)];
    // The link type 101 is raw IP. Option 2 is the name of the interface, option 3 its description.
    let interface = [&[101, 0, 0, 0, 0, 0, 0, 0][..], &option(2, text), &option(3, text)];
    let payload = [&[0x30, 0x39, 0x61, 0xa8, 0, 0, 0, 0][..], text].concat();
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    let length = u16::try_from(packet.len() + payload.len()).unwrap();
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend(&payload);
    let udp_length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    packet[24..26].copy_from_slice(&udp_length);
    let captured = u32::try_from(packet.len()).unwrap().to_le_bytes();
    let padding = vec![0; packet.len().next_multiple_of(4) - packet.len()];
    let enhanced = [&[0; 12][..], &captured, &captured, &packet, &padding, &option(1, text)];
    [
        block(0x0a0d_0d0a, &section.concat()),
        block(1, &interface.concat()),
        block(6, &enhanced.concat()),
    ]
    .concat()
}

#[test]
fn text_of_a_capture_file_does_not_reach_the_output_unescaped() {
    let path = std::env::temp_dir().join(format!("{}-{HOSTILE}.pcapng", std::process::id()));
    std::fs::write(&path, hostile_capture()).unwrap();
    for format in ["text", "json"] {
        let output = run(&["trace", "-r", path.to_str().unwrap(), "--format", format, "-vv"], "");
        assert!(output.len() > 10, "{output}");
    }
    std::fs::remove_file(path).unwrap();
}
