//! Tests of series over TCP. Scripted servers keep their connections, close them early, or send wrong replies.

mod scripted;

use rtt_client::{Content, Lifetime, Settings};
use scripted::{at_rate, back_to_back, counts, series};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Starts a TCP server that calls `serve` for one connection after another. Returns its address.
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

/// Sends at most `max_replies` replies. Ends earlier if the client closes the connection.
fn echo(mut stream: TcpStream, max_replies: usize) {
    let mut buffer = vec![0; 65_536];
    for _ in 0..max_replies {
        let Ok(length @ 1..) = stream.read(&mut buffer) else { return };
        let reply = buffer[..length].to_ascii_uppercase();
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}

fn count_connections(events: &[Value]) -> usize {
    events.iter().filter(|event| event["type"] == "connection").count()
}

#[test]
fn summary_of_one_connection_has_all_phases() {
    let server = tcp_server(|stream| echo(stream, usize::MAX));
    let (summary, events) = series("tcp", &server, back_to_back(50));
    assert_eq!(counts(&summary, ["sent", "received"]), [50, 50]);
    assert_eq!(count_connections(&events), 1);
    for phase in ["connect_ns", "first_rtt_ns", "later_rtt_ns", "close_ns"] {
        assert!(summary.get(phase).is_some(), "{phase} in {summary}");
    }
    if cfg!(all(target_os = "linux", not(portable))) {
        assert_eq!(summary["tcp_info"]["retransmissions"], 0);
        assert!(summary["tcp_info"]["min_rtt_ns"].is_u64(), "{summary}");
    } else {
        assert!(summary.get("tcp_info").is_none());
    }
}

#[test]
fn every_exchange_is_the_first_one_if_each_has_its_own_connection() {
    let server = tcp_server(|stream| echo(stream, usize::MAX));
    let settings = Settings { lifetime: Lifetime::Each, ..back_to_back(20) };
    let (summary, events) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received"]), [20, 20]);
    assert_eq!(count_connections(&events), 20);
    assert!(summary.get("later_rtt_ns").is_none(), "{summary}");
}

#[test]
fn no_exchange_is_lost_if_the_server_closes_after_some_replies() {
    for (replies, note) in [
        (1, "closes each connection after 1 reply."),
        (3, "closes each connection after 3 replies."),
    ] {
        let server = tcp_server(move |stream| echo(stream, replies));
        let (summary, events) = series("tcp", &server, back_to_back(30));
        assert_eq!(counts(&summary, ["sent", "received", "lost"]), [30, 30, 0], "{summary}");
        assert_eq!(count_connections(&events), 30 / replies, "{replies} for each connection");
        assert!(summary["notes"][0].as_str().unwrap().contains(note), "{summary}");
    }
}

#[test]
fn fixed_rate_over_tcp_sends_without_waiting_for_replies() {
    let server = tcp_server(|stream| {
        thread::sleep(Duration::from_millis(30));
        echo(stream, usize::MAX);
    });
    let settings = Settings { timeout: Duration::from_secs(5), ..at_rate(200, 2000.0) };
    let (summary, _) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "corrupt"]), [200, 200, 0]);
}

#[test]
fn wrong_reply_on_a_connection_affects_only_one_exchange() {
    let mut connections = 0;
    let server = tcp_server(move |mut stream| {
        connections += 1;
        let mut buffer = [0; 1024];
        if connections % 2 == 1 {
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            // Wait until the client has closed the connection.
            let _ = stream.read(&mut buffer);
        } else {
            echo(stream, 1);
        }
    });
    let settings = Settings { lifetime: Lifetime::Each, ..back_to_back(10) };
    let (summary, _) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "corrupt"]), [10, 5, 5]);
}

#[test]
fn long_requests_at_a_fixed_rate_are_all_answered() {
    let server = tcp_server(|stream| echo(stream, usize::MAX));
    let content = Content::Sized(Some(40_000));
    let timeout = Duration::from_secs(10);
    let settings = Settings { content, timeout, ..at_rate(2000, 20_000.0) };
    let (summary, _) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "corrupt"]), [2000, 2000, 0], "{summary}");
}

#[test]
fn rtt_of_a_resent_request_contains_the_wait_on_the_first_connection() {
    const STALL: Duration = Duration::from_millis(150);
    let mut connections = 0;
    let server = tcp_server(move |mut stream| {
        connections += 1;
        let is_first = connections == 1;
        echo(stream.try_clone().unwrap(), if is_first { 1 } else { usize::MAX });
        if is_first {
            // Read the second request, and close the connection without a reply.
            let _ = stream.read(&mut [0; 1024]);
            thread::sleep(STALL);
        }
    });
    let settings = Settings { timeout: Duration::from_secs(10), ..back_to_back(5) };
    let (summary, _) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received"]), [5, 5], "{summary}");
    let longest = Duration::from_nanos(summary["rtt_ns"]["max"].as_u64().unwrap());
    assert!(longest >= STALL, "{longest:?}");
    assert!(summary["notes"][0].as_str().unwrap().contains("sent 1 request again"), "{summary}");
}

/// Starts a TCP server with one thread for each connection. `serve` gets the number of the connection, from 0.
fn concurrent_server(serve: fn(usize, TcpStream)) -> String {
    let mut connections = 0;
    tcp_server(move |stream| {
        let number = connections;
        connections += 1;
        thread::spawn(move || serve(number, stream));
    })
}

/// Reads until the client closes the connection, and sends no reply.
fn ignore(mut stream: TcpStream) {
    while let Ok(1..) = stream.read(&mut [0; 1024]) {}
}

#[test]
fn connection_that_stops_replying_is_replaced() {
    let server = concurrent_server(|number, stream| match number {
        0 => {
            echo(stream.try_clone().unwrap(), 3);
            ignore(stream);
        }
        _ => echo(stream, usize::MAX),
    });
    let settings = Settings { timeout: Duration::from_millis(500), ..back_to_back(20) };
    let (summary, events) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "lost"]), [20, 18, 2], "{summary}");
    assert_eq!(count_connections(&events), 2);
    let replacement = &summary["replacements"][0];
    assert_eq!(replacement["reason"], "no-reply", "{summary}");
    assert_eq!(replacement["evidence"], "connection-established", "{summary}");
    assert!(replacement["at_ns"].as_u64().unwrap() >= 1_000_000_000, "two timeouts: {summary}");
    let note = "2 requests in a row had no reply, and a new connection was established.";
    assert!(summary["notes"][0].as_str().unwrap().ends_with(note), "{summary}");
}

#[test]
fn server_that_stops_replying_on_all_connections_gets_few_of_them() {
    let server = concurrent_server(|number, stream| {
        if number == 0 {
            echo(stream.try_clone().unwrap(), 1);
        }
        ignore(stream);
    });
    let settings = Settings { timeout: Duration::from_millis(20), ..back_to_back(60) };
    let (summary, events) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "lost"]), [60, 1, 59], "{summary}");
    // Each new connection needs twice as many requests without a reply as the previous one: 2 + 4 + 8 + 16 + 32.
    let connections = count_connections(&events);
    assert!((2..=6).contains(&connections), "{connections} connections, {summary}");
}

#[test]
fn server_that_never_replies_gets_one_connection() {
    let server = concurrent_server(|_, stream| ignore(stream));
    let settings = Settings { timeout: Duration::from_millis(20), ..back_to_back(20) };
    let (summary, events) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "lost"]), [20, 20], "{summary}");
    assert_eq!(count_connections(&events), 1);
}

#[test]
fn slow_server_keeps_its_connection() {
    // A reply takes longer than the timeout, so all requests are lost, and their replies are late.
    let server = concurrent_server(|_, mut stream| {
        let mut replies = stream.try_clone().unwrap();
        let (sender, requests) = std::sync::mpsc::channel::<(std::time::Instant, Vec<u8>)>();
        thread::spawn(move || {
            for (arrived, reply) in requests {
                let due = arrived + Duration::from_millis(300);
                thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
                let _ = replies.write_all(&reply);
            }
        });
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            let _ = sender.send((std::time::Instant::now(), buffer[..length].to_ascii_uppercase()));
        }
    });
    let settings = Settings { timeout: Duration::from_millis(200), ..back_to_back(10) };
    let (summary, events) = series("tcp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "lost"]), [10, 10], "{summary}");
    assert!(summary["late"].as_u64().unwrap() >= 8, "{summary}");
    assert_eq!(count_connections(&events), 1);
}
