//! Requests to services with scripted servers: exact counts of replies and connections, and the times of the first and the
//! last byte of a reply.

#[path = "service_replies/comparison.rs"]
mod comparison;
#[path = "service_replies/datagrams.rs"]
mod datagrams;
mod scripted;
#[path = "service_replies/server.rs"]
mod server;

use rtt_client::report::{Json, JsonConfig};
use rtt_client::{
    Content, CustomRequest, Event, Plan, ReplyEnd, ReplyRule, ReplyStart, Report, Settings,
    protocol_named, run,
};
use scripted::{at_rate, back_to_back, counts, series};
use serde_json::Value;
use server::{Script, http_reply, read_request, tcp_server};
use std::io::{self, Write as _};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{net::TcpStream, thread};

/// A timeout that expires only if no reply arrives.
const LONG_TIMEOUT: Duration = Duration::from_secs(20);

/// The delay between two parts of a reply. A delay of the machine is much shorter.
const PAUSE: Duration = Duration::from_millis(100);

fn service(name: &str, mut settings: Settings) -> Settings {
    settings.content = Content::Service(name.to_owned());
    settings.timeout = LONG_TIMEOUT;
    settings
}

/// The user's request `PING`, with this rule for its reply.
fn request(start: &'static str, end: ReplyEnd, mut settings: Settings) -> Settings {
    let reply = ReplyRule { start: ReplyStart::Text(start.as_bytes().into()), end };
    settings.content = Content::Request(CustomRequest { bytes: "PING\n".into(), reply });
    settings.timeout = LONG_TIMEOUT;
    settings
}

fn ends(end: &'static str) -> ReplyEnd {
    ReplyEnd::Text(end.as_bytes().into())
}

/// The number of connections.
fn connections(events: &[Value]) -> usize {
    events.iter().filter(|event| event["type"] == "connection").count()
}

/// The exchange with this number.
fn exchange(events: &[Value], seq: u64) -> &Value {
    let is_wanted = |event: &&Value| event["type"] == "exchange" && event["seq"] == seq;
    events.iter().find(is_wanted).unwrap_or_else(|| panic!("no exchange {seq} in {events:?}"))
}

fn duration(value: &Value) -> Duration {
    Duration::from_nanos(value.as_u64().unwrap_or_else(|| panic!("{value}")))
}

fn has_note(summary: &Value, text: &str) -> bool {
    let notes = summary["notes"].as_array().cloned().unwrap_or_default();
    notes.iter().any(|note| note.as_str().unwrap().contains(text))
}

#[test]
fn http_server_that_keeps_its_connection_open_gets_one_connection() {
    let script = tcp_server(|stream, _| {
        while read_request(stream, "\r\n\r\n") {
            stream.write_all(http_reply("HTTP/1.1", "").as_bytes())?;
        }
        Ok(())
    });
    let (summary, events) = series("tcp", &script.address, service("http", back_to_back(20)));
    assert_eq!(counts(&summary, ["received", "resent"]), [20, 0], "{summary}");
    assert_eq!((connections(&events), script.connections()), (1, 1));
}

#[test]
fn http_1_0_server_gets_one_connection_for_each_request() {
    let script = tcp_server(|stream, script| {
        if read_request(stream, "\r\n\r\n") {
            script.count_request();
            stream.write_all(http_reply("HTTP/1.0", "").as_bytes())?;
        }
        Ok(())
    });
    let (summary, events) = series("tcp", &script.address, service("http", back_to_back(10)));
    assert_eq!(counts(&summary, ["received", "resent"]), [10, 0], "{summary}");
    assert_eq!((connections(&events), script.connections()), (10, 10));
    assert_eq!(script.requests(), 10, "each request arrived once");
    // Each exchange is the first one on its connection.
    assert!(summary.get("later_rtt_ns").is_none(), "{summary}");
}

/// Replies to `replies` requests, and announces in the last reply that it closes the connection.
fn announce_close(stream: &mut TcpStream, script: &Script, replies: u32) -> std::io::Result<()> {
    for number in 1..=replies {
        if !read_request(stream, "\r\n\r\n") {
            break;
        }
        script.count_request();
        let option = if number == replies { "Connection: close\r\n" } else { "" };
        stream.write_all(http_reply("HTTP/1.1", option).as_bytes())?;
    }
    Ok(())
}

#[test]
fn http_server_that_announces_the_close_gets_each_request_once() {
    let script = tcp_server(|stream, script| announce_close(stream, script, 4));
    let (summary, events) = series("tcp", &script.address, service("http", back_to_back(20)));
    assert_eq!(counts(&summary, ["received", "resent"]), [20, 0], "{summary}");
    assert_eq!((connections(&events), script.connections()), (5, 5));
    assert_eq!(script.requests(), 20);
}

#[test]
fn http_server_that_announces_the_close_answers_each_request_at_a_fixed_rate() {
    let script = tcp_server(|stream, script| announce_close(stream, script, 4));
    let settings = service("http", at_rate(20, 20.0));
    let (summary, events) = series("tcp", &script.address, settings);
    assert_eq!(counts(&summary, ["received", "lost"]), [20, 0], "{summary}");
    // If the machine delays a reply, the next request is sent again on a new connection.
    assert!(connections(&events) >= 5, "{summary}");
}

#[test]
fn pipelined_replies_are_divided_at_their_end() {
    const BATCH: u64 = 5;
    let script = tcp_server(|stream, script| {
        while read_request(stream, "\n") {
            script.count_request();
            if script.requests() % BATCH == 0 {
                // The end of the third reply arrives separately.
                stream.write_all(b"+1\r\n+2\r\n+3\r")?;
                thread::sleep(Duration::from_millis(5));
                stream.write_all(b"\n+4\r\n+5\r\n")?;
            }
        }
        Ok(())
    });
    let settings = request("+", ends("\r\n"), at_rate(50, 500.0));
    let (summary, events) = series("tcp", &script.address, settings);
    let names = ["sent", "received", "lost", "corrupt", "out_of_order", "unmatched"];
    assert_eq!(counts(&summary, names), [50, 50, 0, 0, 0, 0], "{summary}");
    assert_eq!((connections(&events), script.requests()), (1, 50));
}

/// Sends `first`, and [`PAUSE`] later `second`, for each request.
fn in_two_pieces(first: &'static str, second: &'static str) -> Script {
    tcp_server(move |stream, _| {
        while read_request(stream, "\n") {
            stream.write_all(first.as_bytes())?;
            thread::sleep(PAUSE);
            stream.write_all(second.as_bytes())?;
        }
        Ok(())
    })
}

#[test]
fn first_and_last_byte_of_a_reply_differ_by_the_delay_of_the_server() {
    let script = in_two_pieces("+PO", "NG\r\n");
    for end in [ends("\r\n"), ReplyEnd::Length(7)] {
        let settings = request("+PONG", end, back_to_back(3));
        let (summary, events) = series("tcp", &script.address, settings);
        assert_eq!(counts(&summary, ["received"]), [3], "{summary}");
        for seq in 1..=3 {
            let exchange = exchange(&events, seq);
            let [first, last] = ["first_byte_ns", "rtt_ns"].map(|name| duration(&exchange[name]));
            assert!(last >= PAUSE, "{exchange}");
            // If the system wakes the client late after the first piece, the difference is smaller.
            assert!(last > first + PAUSE / 2, "{exchange}");
        }
        let [first, last] = ["first_byte_ns", "rtt_ns"].map(|name| duration(&summary[name]["p50"]));
        assert!(last > first + PAUSE / 2, "{summary}");
    }
}

#[test]
fn first_bytes_contain_the_whole_expected_beginning() {
    let script = in_two_pieces("+PO", "NG\r\n");
    let settings = request("+PONG", ReplyEnd::FirstBytes, back_to_back(3));
    let (summary, _) = series("tcp", &script.address, settings);
    assert_eq!(counts(&summary, ["received", "corrupt"]), [3, 0], "{summary}");
    assert!(duration(&summary["rtt_ns"]["min"]) >= PAUSE, "{summary}");
    assert!(!has_note(&summary, "More bytes arrived"), "{summary}");
}

#[test]
fn rest_of_a_reply_without_an_end_causes_a_note() {
    let script = in_two_pieces("+PO", "NG\r\n");
    // Each request follows the first bytes immediately. So the rest of a reply arrives after the next request.
    let settings = request("", ReplyEnd::FirstBytes, back_to_back(4));
    let (summary, _) = series("tcp", &script.address, settings);
    assert!(has_note(&summary, "--reply-ends"), "{summary}");
    // The rest arrives before the next request, so the client removes it.
    let interval = 10 * PAUSE;
    let settings = Settings { interval, ..request("", ReplyEnd::FirstBytes, back_to_back(3)) };
    let (summary, _) = series("tcp", &script.address, settings);
    assert_eq!(counts(&summary, ["received", "corrupt"]), [3, 0], "{summary}");
    assert!(duration(&summary["rtt_ns"]["max"]) < PAUSE, "{summary}");
    assert!(!has_note(&summary, "More bytes arrived"), "{summary}");
}

#[test]
fn reply_without_an_end_is_corrupt_at_its_timeout_and_not_requested_again() {
    const COUNT: u64 = 20;
    let script = tcp_server(|stream, script| {
        for is_endless in [false, true] {
            if !read_request(stream, "\n") {
                break;
            }
            script.count_request();
            // The client receives without a pause, so the last bytes before its check can arrive after the timeout.
            if is_endless {
                loop {
                    stream.write_all(b"+")?;
                }
            }
            stream.write_all(b"+PONG\r\n")?;
        }
        Ok(())
    });
    let mut settings = request("", ends("\r\n"), back_to_back(COUNT));
    settings.timeout = Duration::from_millis(50);
    let (summary, _) = series("tcp", &script.address, settings);
    let counted = counts(&summary, ["received", "corrupt", "lost", "resent", "unmatched"]);
    assert_eq!(counted, [COUNT / 2, COUNT / 2, 0, 0, 0], "{summary}");
    assert_eq!(script.requests(), COUNT);
}

/// The times of the exchanges without kernel timestamps.
#[cfg(all(target_os = "linux", not(portable)))]
mod timestamp_cost {
    use super::*;

    fn with_breakdown(settings: Settings) -> Settings {
        Settings { breakdown: true, ..settings }
    }

    #[test]
    fn rest_of_a_reply_is_not_the_next_reply() {
        let script = tcp_server(|stream, _| {
            while read_request(stream, "\n") {
                thread::sleep(PAUSE / 4);
                stream.write_all(b"+PO")?;
                thread::sleep(PAUSE / 4);
                stream.write_all(b"NG\r\n")?;
            }
            Ok(())
        });
        let interval = PAUSE;
        let settings = Settings { interval, ..request("", ReplyEnd::FirstBytes, back_to_back(4)) };
        let (summary, _) = series("tcp", &script.address, with_breakdown(settings));
        let cost = &summary["timestamp_cost"];
        assert_eq!(cost["exchanges"], 4, "{summary}");
        assert!(duration(&cost["rtt_without_ns"]) > PAUSE / 5, "{summary}");
    }

    #[test]
    fn connection_is_not_used_after_the_reply_that_ends_it() {
        let script = tcp_server(|stream, script| {
            if read_request(stream, "\r\n\r\n") {
                script.count_request();
                stream.write_all(http_reply("HTTP/1.0", "").as_bytes())?;
                // The client has time for a second request.
                read_request(stream, "\r\n\r\n");
            }
            Ok(())
        });
        let settings = with_breakdown(service("http", back_to_back(6)));
        let (summary, _) = series("tcp", &script.address, settings);
        assert_eq!(summary["timestamp_cost"]["exchanges"], 6, "{summary}");
    }
}

#[test]
fn bytes_after_the_end_of_a_reply_are_corrupt() {
    let script = tcp_server(|stream, _| {
        while read_request(stream, "\n") {
            stream.write_all(b"+PONG\r\n+AGAIN\r\n")?;
        }
        Ok(())
    });
    for (end, extra) in [(ends("\r\n"), 8), (ReplyEnd::Length(5), 10)] {
        let (summary, events) =
            series("tcp", &script.address, request("+PONG", end, back_to_back(2)));
        assert_eq!(counts(&summary, ["received", "lost", "corrupt"]), [0, 0, 2], "{summary}");
        let detail = exchange(&events, 1)["detail"].to_string();
        assert!(detail.contains(&format!("{extra} bytes follow")), "{detail}");
    }
}

/// Sends a greeting in two pieces. The first piece starts [`PAUSE`] after the connection.
fn greeting_server() -> Script {
    tcp_server(|stream, _| {
        thread::sleep(PAUSE);
        stream.write_all(b"SSH-2.0-Te")?;
        thread::sleep(PAUSE);
        stream.write_all(b"st\r\nmore bytes")?;
        read_request(stream, "\n");
        Ok(())
    })
}

#[test]
fn each_greeting_has_its_own_connection() {
    let script = greeting_server();
    let (summary, events) = series("tcp", &script.address, service("ssh", back_to_back(3)));
    assert_eq!(counts(&summary, ["received", "corrupt"]), [3, 0], "{summary}");
    assert_eq!((connections(&events), script.connections()), (3, 3));
    for seq in 1..=3 {
        let exchange = exchange(&events, seq);
        let [first, last] = ["first_byte_ns", "rtt_ns"].map(|name| duration(&exchange[name]));
        // The server can start its pause before the client has received the end of the handshake.
        assert!(first > PAUSE / 2 && last > first + PAUSE / 2, "{exchange}");
    }
}

/// A report that takes this time for the first event.
struct SlowStart {
    json: Json<Vec<u8>>,
    delay: Duration,
}

impl Report for SlowStart {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        thread::sleep(std::mem::take(&mut self.delay));
        self.json.event(event)
    }
}

#[test]
fn time_of_a_greeting_starts_when_the_connection_is_established() {
    let script = greeting_server();
    let settings = service("ssh", back_to_back(2));
    let target = script.address.parse().unwrap();
    let plan = Plan::new(protocol_named("tcp").unwrap(), target, settings).unwrap();
    let json = Json::new(Vec::new(), JsonConfig::default());
    let mut report = SlowStart { json, delay: PAUSE };
    let summary = run(&plan, &mut report, &AtomicBool::new(false)).unwrap();
    // The greeting is complete two pauses after the connection. The report takes one of them.
    let min = summary.rtt.min().unwrap();
    assert!(summary.received == 2 && min > PAUSE * 3 / 2, "{min:?}");
}

#[test]
fn first_line_of_a_single_reply_is_shown_up_to_its_limit() {
    let script = tcp_server(|stream, _| {
        read_request(stream, "\n");
        stream.write_all(&[b'a'; 300])?;
        stream.write_all(b"\r\nmore\r\n")
    });
    let (_, events) =
        series("tcp", &script.address, request("", ends("more\r\n"), back_to_back(1)));
    assert_eq!(exchange(&events, 1)["reply"], "a".repeat(200));
}

#[test]
fn greeting_instead_of_a_reply_is_corrupt() {
    let greeting = tcp_server(|stream, _| {
        stream.write_all(b"220 mail.example ESMTP\r\n")?;
        while read_request(stream, "\n") {
            stream.write_all(b"500 error\r\n")?;
        }
        Ok(())
    });
    for name in ["http", "redis", "memcached"] {
        let settings = service(name, back_to_back(3));
        let (summary, events) = series("tcp", &greeting.address, settings);
        assert_eq!(counts(&summary, ["received", "lost", "corrupt"]), [0, 0, 3], "{summary}");
        let reply = exchange(&events, 1)["reply"].as_str().unwrap();
        assert!(reply.starts_with("220 mail.example ESMTP\r\n"), "{reply}");
    }
    let (summary, _) =
        series("tcp", &greeting.address, request("+PONG", ends("\r\n"), back_to_back(3)));
    assert_eq!(counts(&summary, ["received", "lost", "corrupt"]), [0, 0, 3], "{summary}");
    // Without an expected beginning, a greeting is not recognisable. Each RTT then belongs to the previous request.
    let (summary, _) = series("tcp", &greeting.address, request("", ends("\r\n"), back_to_back(3)));
    assert!(
        counts(&summary, ["corrupt"]) != [0] || has_note(&summary, "--expect-prefix"),
        "{summary}"
    );
}
