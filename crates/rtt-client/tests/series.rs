//! Tests of series over UDP. Scripted servers lose, duplicate, delay and reorder replies. The counts of the client must
//! be exactly those of the script.

mod scripted;

use rtt_client::{Content, Settings};
use scripted::{at_rate, back_to_back, counts, number, raw_udp_server, series, udp_server};
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn lost_and_duplicated_replies_are_counted_exactly() {
    for settings in [back_to_back(210), at_rate(210, 2000.0)] {
        let server = udp_server(|number, reply, send| {
            if number % 10 != 0 {
                send(&reply);
            }
            // The last request, number 210, has duplicates too.
            if number % 7 == 0 {
                send(&reply);
                send(&reply);
            }
        });
        let (summary, _) = series("udp", &server, settings);
        // The server sends no first reply to the 21 multiples of ten. Three of these numbers (70, 140 and 210) are also
        // multiples of seven. Each of these three requests has two replies, and one of them is a duplicate.
        let lost = 21 - 3;
        let duplicates = 2 * 30 - 3;
        let names = ["sent", "received", "lost", "corrupt", "duplicates", "late", "unmatched"];
        assert_eq!(counts(&summary, names), [210, 210 - lost, lost, 0, duplicates, 0, 0]);
    }
}

#[test]
fn request_is_lost_if_its_reply_is_late() {
    let mut delayed = None;
    let server = udp_server(move |number, reply, send| {
        // The server delays each fifth reply until the next request. The client sends the next request after the
        // timeout.
        if let Some(delayed) = delayed.take() {
            send(delayed);
        }
        if number % 5 == 0 {
            delayed = Some(&*reply.leak());
        } else {
            send(&reply);
        }
    });
    let settings = Settings { timeout: Duration::from_millis(150), ..back_to_back(24) };
    let (summary, events) = series("udp", &server, settings);
    let names = ["sent", "received", "lost", "late", "duplicates", "out_of_order"];
    assert_eq!(counts(&summary, names), [24, 20, 4, 4, 0, 0]);
    let lost: Vec<u64> = events
        .iter()
        .filter(|event| event["outcome"] == "lost")
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(lost, [5, 10, 15, 20]);
}

#[test]
fn overtaken_replies_are_counted_as_out_of_order() {
    let mut overtaken: Option<Vec<u8>> = None;
    let server = udp_server(move |number, reply, send| {
        if number % 6 == 0 {
            overtaken = Some(reply);
        } else {
            send(&reply);
            if let Some(overtaken) = overtaken.take() {
                send(&overtaken);
            }
        }
    });
    let (summary, _) = series("udp", &server, at_rate(120, 1000.0));
    // No request follows number 120, so its reply is never sent.
    let names = ["sent", "received", "lost", "out_of_order", "duplicates", "late"];
    assert_eq!(counts(&summary, names), [120, 119, 1, 19, 0, 0]);
}

#[test]
fn wrong_replies_are_corrupt_if_one_request_is_in_flight() {
    let server = udp_server(|number, reply, send| match number % 4 {
        0 => send(b"GARBAGE"),
        1 => send(&reply[..20]),
        2 => send(&reply.to_ascii_lowercase()),
        _ => send(&reply),
    });
    // A datagram can be forged, so the client waits for the correct reply until the timeout.
    let settings = Settings { timeout: Duration::from_millis(100), ..back_to_back(40) };
    let (summary, _) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received", "corrupt", "lost"]), [10, 30, 0]);
    assert!(summary["rtt_ns"]["min"].is_u64());
}

#[test]
fn wrong_replies_are_unmatched_if_several_requests_are_in_flight() {
    let server = udp_server(|_, reply, send| {
        send(b"GARBAGE");
        send(&reply);
    });
    let (summary, _) = series("udp", &server, at_rate(40, 4000.0));
    let [received, corrupt, unmatched] = counts(&summary, ["received", "corrupt", "unmatched"]);
    assert_eq!((received + corrupt, unmatched), (40, 40 - corrupt));
}

#[test]
fn fixed_rate_measures_every_request_during_a_stall_of_the_server() {
    const STALL: Duration = Duration::from_millis(150);
    let server = udp_server(|number, reply, send| {
        if number == 100 {
            thread::sleep(STALL);
        }
        send(&reply);
    });
    let settings = Settings { timeout: Duration::from_secs(5), ..at_rate(600, 1000.0) };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "lost"]), [600, 600, 0]);
    // The stall delays about 150 requests. About 75 requests are delayed by more than half of the stall. They are more
    // than 10 % of the 600 requests, so the p90 is longer than half of the stall. A client that waits for each reply
    // would measure only one long RTT.
    let p90 = |name: &str| Duration::from_nanos(summary[name]["p90"].as_u64().unwrap());
    assert!(p90("rtt_ns") > STALL / 2, "{summary}");
    assert!(p90("rtt_from_schedule_ns") >= p90("rtt_ns"), "{summary}");
    for event in events.iter().filter(|event| event["type"] == "exchange") {
        assert!(event["lateness_ns"].is_u64(), "{event}");
    }
}

/// Whether the system reports which request an ICMP error quotes. Without this report, the client cannot verify the error.
const VERIFIES_ERRORS: bool = cfg!(all(target_os = "linux", not(portable)));

#[test]
fn refused_port_ends_the_series_after_one_request() {
    let closed_port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let start = Instant::now();
    for protocol in ["udp", "tcp"] {
        let settings = Settings { interval: Duration::from_secs(1), ..back_to_back(1000) };
        let (summary, events) = series(protocol, &closed_port, settings);
        // An error that is not verified needs the confirmation of a second request.
        let expected = if protocol == "tcp" || VERIFIES_ERRORS { 1 } else { 2 };
        assert_eq!(counts(&summary, ["sent", "lost"]), [expected, expected]);
        assert!(events.iter().any(|event| event["condition"] == "refused"), "{events:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn series_to_a_refused_port_does_not_wait_for_the_next_request() {
    if !VERIFIES_ERRORS {
        return;
    }
    let closed_port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let minute = Duration::from_mins(1);
    let start = Instant::now();
    for settings in [Settings { interval: minute, ..back_to_back(1000) }, at_rate(1000, 1.0 / 60.0)]
    {
        let (summary, _) = series("udp", &closed_port, settings);
        assert_eq!(counts(&summary, ["sent", "lost"]), [1, 1]);
    }
    assert!(start.elapsed() < minute);
}

#[test]
fn unmatched_replies_do_not_extend_the_timeout() {
    let server = udp_server(|number, _, send| {
        for _ in 0..6 {
            thread::sleep(Duration::from_millis(90));
            send(format!("{:010}", number + 1000).as_bytes());
        }
    });
    let content = Content::Sized(Some(10));
    let timeout = Duration::from_millis(200);
    let settings = Settings { content, timeout, ..back_to_back(2) };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "lost"]), [2, 2]);
    for event in events.iter().filter(|event| event["type"] == "exchange") {
        let after = Duration::from_nanos(event["after_ns"].as_u64().unwrap());
        assert!(after < Duration::from_millis(390), "{after:?}");
    }
}

#[test]
fn unmatched_reply_does_not_make_a_late_reply_valid() {
    let server = udp_server(|number, reply, send| {
        thread::sleep(Duration::from_millis(150));
        send(format!("{:010}", number + 1000).as_bytes());
        thread::sleep(Duration::from_millis(150));
        send(&reply);
    });
    let content = Content::Sized(Some(10));
    let timeout = Duration::from_millis(200);
    let settings = Settings { content, timeout, ..back_to_back(2) };
    let (summary, _) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "lost"]), [2, 0, 2]);
    assert!(summary.get("rtt_ns").is_none(), "{summary}");
}

#[test]
fn message_in_a_series_is_numbered_and_checked() {
    let server = udp_server(|_, reply, send| send(&reply));
    let content = Content::Numbered("straße".into());
    // The scripted server converts only ASCII letters, so its reply is wrong.
    let (summary, _) = series("udp", &server, Settings { content, ..back_to_back(3) });
    assert_eq!(counts(&summary, ["corrupt"]), [3]);
    let content = Content::Numbered("hello".into());
    let (summary, events) = series("udp", &server, Settings { content, ..back_to_back(3) });
    assert_eq!(counts(&summary, ["received"]), [3]);
    assert!(events.iter().all(|event| event["type"] != "exchange" || event["reply"] == "HELLO"));
}

#[test]
fn series_keeps_its_interval_and_ends_after_its_duration() {
    let server = udp_server(|_, reply, send| send(&reply));
    let settings = Settings {
        count: None,
        duration: Some(Duration::from_millis(200)),
        interval: Duration::from_millis(20),
        ..back_to_back(1)
    };
    let (summary, _) = series("udp", &server, settings);
    // The requests are due after 0, 20, …, 180 ms. A busy machine sends fewer of them.
    let [sent] = counts(&summary, ["sent"]);
    assert!((1..=10).contains(&sent), "{sent}");
}

#[test]
fn parts_of_a_breakdown_add_up_to_the_rtt() {
    // With a timing header, requests do not start with their number.
    let server = raw_udp_server(|reply, send| send(&reply));
    let settings = Settings { breakdown: true, ..back_to_back(100) };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received"]), [100]);
    if cfg!(all(target_os = "linux", not(portable))) {
        let mut with_breakdown = 0;
        for event in events.iter().filter(|event| event.get("breakdown").is_some()) {
            let parts = event["breakdown"].as_object().unwrap();
            let sum: u64 = parts.values().map(|part| part.as_u64().unwrap()).sum();
            assert_eq!(sum, event["rtt_ns"].as_u64().unwrap(), "{event}");
            // This server does not report its processing time.
            assert!(parts.contains_key("network_and_server_ns"), "{event}");
            with_breakdown += 1;
        }
        assert!(with_breakdown >= 90, "{with_breakdown} of 100 exchanges: {summary}");
        assert!(summary["timestamp_cost"]["cost_ns"].is_i64(), "{summary}");
    } else {
        assert!(summary["notes"][0].as_str().unwrap().contains("not available"), "{summary}");
        assert!(summary.get("breakdown").is_none());
    }
}

#[test]
fn replies_with_an_impossible_timing_header_are_corrupt() {
    use echo_core::header::{ArrivalClock, HEADER_LEN, Timing, reply_header};
    let header = |length, arrival, server| reply_header(length, Timing { arrival, server });
    let server = raw_udp_server(move |mut reply, send| {
        let length = reply.len();
        let kernel = header(length, ArrivalClock::Kernel, Duration::ZERO);
        let header = match number(&reply[HEADER_LEN..]) % 5 {
            // The processing time is longer than any RTT on this host.
            0 => header(length, ArrivalClock::Kernel, Duration::from_secs(100)).to_vec(),
            // The length of another message.
            1 => header(length + 1, ArrivalClock::Kernel, Duration::ZERO).to_vec(),
            // A letter among the digits.
            2 => [&kernel[..30], b"X", &kernel[31..]].concat(),
            // Only the first half of a header.
            3 => kernel[..20].to_vec(),
            _ => header(length, ArrivalClock::Program, Duration::from_nanos(1)).to_vec(),
        };
        reply[..header.len()].copy_from_slice(&header);
        send(&reply);
    });
    // Requests of this size have a header of version 1.
    let content = Content::Sized(Some(64));
    let settings = Settings { breakdown: true, content, ..back_to_back(50) };
    let (summary, _) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received", "corrupt"]), [10, 40], "{summary}");
    let parts = summary.get("breakdown");
    assert!(parts.is_none_or(|parts| parts.get("server_ns").is_none()), "{summary}");
}
