//! Series over TCP against servers that keep, close and spoil their connections as told.

mod scripted;

use rtt_client::{Content, Lifetime, Settings};
use scripted::{at_rate, counts, quickly, series};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// A TCP server that serves each connection with `serve`, one at a time.
fn tcp_server(mut serve: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            serve(stream);
        }
    });
    address
}

/// Answers a connection for as long as it lasts, at most `replies` times.
fn answer(mut stream: TcpStream, replies: usize) {
    let mut text = vec![0; 65_536];
    for _ in 0..replies {
        let Ok(length @ 1..) = stream.read(&mut text) else { return };
        let reply = text[..length].to_ascii_uppercase();
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}

#[test]
fn phases_of_a_kept_connection_are_told_apart() {
    let server = tcp_server(|stream| answer(stream, usize::MAX));
    let (summary, events) = series("tcp", &server, quickly(50));
    assert_eq!(counts(&summary, ["sent", "received"]), [50, 50]);
    assert_eq!(events.iter().filter(|event| event["type"] == "connection").count(), 1);
    for (phase, there) in
        [("connect_ns", true), ("first_rtt_ns", true), ("later_rtt_ns", true), ("close_ns", true)]
    {
        assert_eq!(summary.get(phase).is_some(), there, "{phase} in {summary}");
    }
    if cfg!(all(target_os = "linux", not(portable))) {
        assert_eq!(summary["tcp_info"]["retransmissions"], 0);
        assert!(summary["tcp_info"]["min_rtt_ns"].is_u64(), "{summary}");
    } else {
        assert!(summary.get("tcp_info").is_none());
    }
}

#[test]
fn a_connection_each_has_a_handshake_each() {
    let server = tcp_server(|stream| answer(stream, usize::MAX));
    let settings = Settings { lifetime: Lifetime::Each, ..quickly(20) };
    let (summary, events) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received"]), [20, 20]);
    assert_eq!(events.iter().filter(|event| event["type"] == "connection").count(), 20);
    assert!(summary.get("later_rtt_ns").is_none(), "every exchange is a first one: {summary}");
}

#[test]
fn servers_that_close_after_some_replies_are_measured_all_the_same() {
    for replies in [1, 3] {
        let server = tcp_server(move |stream| answer(stream, replies));
        let (summary, events) = series("tcp", &server, quickly(30));
        assert_eq!(counts(&summary, ["sent", "received", "lost"]), [30, 30, 0], "{summary}");
        let connections = events.iter().filter(|event| event["type"] == "connection").count();
        assert_eq!(connections, 30 / replies, "{replies} a connection");
        assert!(summary["notes"][0].as_str().unwrap().contains("closes connections after"));
    }
}

#[test]
fn a_schedule_over_tcp_pipelines() {
    let server = tcp_server(|stream| {
        thread::sleep(Duration::from_millis(30));
        answer(stream, usize::MAX);
    });
    let settings = Settings { timeout: Duration::from_secs(5), ..at_rate(200, 2000.0) };
    let (summary, _) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "corrupt"]), [200, 200, 0]);
}

#[test]
fn garbage_on_a_connection_costs_one_exchange() {
    let mut connections = 0;
    let server = tcp_server(move |mut stream| {
        connections += 1;
        let mut text = [0; 1024];
        if connections % 2 == 1 {
            let _ = stream.read(&mut text);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            // Until the client has seen it and closed.
            let _ = stream.read(&mut text);
        } else {
            answer(stream, 1);
        }
    });
    let settings = Settings { lifetime: Lifetime::Each, ..quickly(10) };
    let (summary, _) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "corrupt"]), [10, 5, 5]);
}

#[test]
fn long_requests_on_a_schedule_lose_nothing() {
    let server = tcp_server(|stream| answer(stream, usize::MAX));
    let content = Content::Sized(Some(40_000));
    let timeout = Duration::from_secs(10);
    let settings = Settings { content, timeout, ..at_rate(2000, 20_000.0) };
    let (summary, _) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "corrupt"]), [2000, 2000, 0], "{summary}");
}

#[test]
fn a_stall_before_a_close_is_not_erased_by_sending_again() {
    const STALL: Duration = Duration::from_millis(150);
    let mut connections = 0;
    let server = tcp_server(move |mut stream| {
        connections += 1;
        let first = connections == 1;
        answer(stream.try_clone().unwrap(), if first { 1 } else { usize::MAX });
        if first {
            // Reads the second request, and closes without an answer.
            let _ = stream.read(&mut [0; 1024]);
            thread::sleep(STALL);
        }
    });
    let settings = Settings { timeout: Duration::from_secs(10), ..quickly(5) };
    let (summary, _) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received"]), [5, 5], "{summary}");
    let longest = Duration::from_nanos(summary["rtt_ns"]["max"].as_u64().unwrap());
    assert!(longest >= STALL, "{longest:?}");
    assert!(summary["notes"][0].as_str().unwrap().contains("1 sent again"), "{summary}");
}
