//! Tests of the places of losses with scripted servers. The servers report counts in timing headers of version 2, or they
//! report false counts, or they support only version 1.

mod scripted;

use echo_core::header::version2;
use rtt_client::Settings;
use scripted::{at_rate, back_to_back, counts, series, udp_server};
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

/// A report of a server that has answered `received` requests.
fn report(received: u32) -> version2::Report {
    use echo_core::header::{ArrivalClock, Timing};
    let queue_drops = Some(0);
    let flow = version2::FlowCounts { received, sent: received, queue_drops, ..Default::default() };
    version2::Report {
        timing: Timing { arrival: ArrivalClock::Program, server: Duration::ZERO },
        arrival: Duration::from_secs(1),
        clock: version2::ClockState::Unsynchronised,
        flow: Some(flow),
        limit_delay: Duration::ZERO,
    }
}

/// Replaces the header of a reply.
fn write_report(reply: &mut [u8], report: &version2::Report) {
    let header = version2::reply_header(reply.len(), report);
    reply[..version2::HEADER_LEN].copy_from_slice(&header);
}

#[test]
fn replies_with_an_impossible_report_are_corrupt() {
    for settings in [back_to_back(50), Settings { breakdown: true, ..back_to_back(50) }] {
        let mut received = 0;
        let server = udp_server(move |number, mut reply, send| {
            received += 1;
            let possible = report(received);
            let long = Duration::from_secs(100);
            let report = match number % 5 {
                0 => version2::Report { limit_delay: long, ..possible },
                1 => {
                    let timing = echo_core::header::Timing { server: long, ..possible.timing };
                    version2::Report { timing, ..possible }
                }
                _ => possible,
            };
            write_report(&mut reply, &report);
            match number % 5 {
                2 => reply[70] = b'x',
                3 => reply[15] = b'9',
                _ => {}
            }
            send(&reply);
        });
        let (summary, _) = series("udp", &server, settings);
        assert_eq!(counts(&summary, ["received", "corrupt", "lost"]), [10, 40, 0], "{summary}");
    }
}

#[test]
fn losses_have_a_place_if_the_server_reports_its_counts() {
    let mut received = 0;
    let mut refused = 0;
    let server = udp_server(move |number, mut reply, send| {
        // The request was lost on the way.
        if number % 10 == 3 {
            return;
        }
        received += 1;
        if number % 10 == 5 {
            refused += 1;
            return;
        }
        // The reply is lost on the way back.
        if number % 10 == 7 {
            return;
        }
        let mut report = report(received);
        let flow = report.flow.as_mut().unwrap();
        (flow.sent, flow.refused_rate) = (received - refused, refused);
        write_report(&mut reply, &report);
        send(&reply);
        // A duplicate on the way back does not change the counts.
        send(&reply);
    });
    let (summary, events) = series("udp", &server, at_rate(200, 1000.0));
    let expected = serde_json::json!({"there": 20, "server-limit": 20, "back": 20});
    assert_eq!(summary["lost_where"], expected, "{summary}");
    assert_eq!(summary["refused"], serde_json::json!({"rate": 20, "list": 0}));
    let lost = events.iter().filter(|event| event["outcome"] == "lost");
    for event in lost {
        let place = match event["seq"].as_u64().unwrap() % 10 {
            3 => "there",
            5 => "server-limit",
            _ => "back",
        };
        assert_eq!(event["lost_where"], place, "{event}");
    }
}

#[test]
fn place_of_a_lost_exchange_is_reported_if_the_next_reply_shows_it() {
    let mut received = 0;
    let server = udp_server(move |number, mut reply, send| {
        if number % 10 == 3 {
            return;
        }
        received += 1;
        write_report(&mut reply, &report(received));
        if number % 10 != 7 {
            send(&reply);
        }
    });
    let settings = Settings { timeout: Duration::from_millis(100), ..back_to_back(27) };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(summary["lost_where"], serde_json::json!({"there": 3, "back": 3}), "{summary}");
    let exchanges = events.iter().filter(|event| event["type"] == "exchange");
    for (number, exchange) in (1_u64..).zip(exchanges) {
        let place = match number % 10 {
            3 => serde_json::json!("there"),
            7 => serde_json::json!("back"),
            _ => serde_json::Value::Null,
        };
        assert_eq!(
            (&exchange["seq"], &exchange["lost_where"]),
            (&number.into(), &place),
            "{exchange}"
        );
    }
}

#[test]
fn losses_have_no_place_if_the_server_reports_no_or_false_counts() {
    type Lie = fn(u32) -> version2::FlowCounts;
    let lies: [Option<Lie>; 4] = [
        None,
        Some(|received| version2::FlowCounts {
            received: 1000 - received,
            sent: received,
            ..Default::default()
        }),
        Some(|received| version2::FlowCounts {
            refused_rate: 5000,
            received,
            sent: received,
            ..Default::default()
        }),
        Some(|received| version2::FlowCounts {
            received: 5 * received,
            sent: received,
            ..Default::default()
        }),
    ];
    for lie in lies {
        let mut received = 0;
        let server = udp_server(move |number, mut reply, send| {
            received += 1;
            if number % 10 == 3 {
                return;
            }
            if let Some(lie) = lie {
                write_report(
                    &mut reply,
                    &version2::Report { flow: Some(lie(received)), ..report(0) },
                );
            }
            send(&reply);
        });
        let (summary, _) = series("udp", &server, at_rate(100, 1000.0));
        assert_eq!(summary["lost_where"], serde_json::json!({"unknown": 10}), "{summary}");
    }
}

#[test]
fn client_uses_version_1_of_the_header_with_an_older_server() {
    use echo_core::header::{ArrivalClock, HEADER_LEN, Timing, reply_header, timed_request_length};
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let is_timed = timed_request_length(&buffer[..length]) == Some(length);
            let reply = &mut buffer[..length];
            reply.make_ascii_uppercase();
            if is_timed {
                let timing =
                    Timing { arrival: ArrivalClock::Kernel, server: Duration::from_nanos(700) };
                reply[..HEADER_LEN].copy_from_slice(&reply_header(length, timing));
            }
            let _ = socket.send_to(reply, client);
        }
    });
    let settings = Settings { breakdown: true, ..back_to_back(50) };
    let (summary, _) = series("udp", &address, settings);
    assert_eq!(counts(&summary, ["received", "corrupt", "lost"]), [50, 0, 0], "{summary}");
    if cfg!(all(target_os = "linux", not(portable))) {
        assert_eq!(summary["breakdown"]["server_ns"], 700, "{summary}");
        // The kernel can interrupt the program between two clock readings. Then the exchange has no breakdown.
        let breakdown = |name: &str| summary["breakdown"][name].as_u64().unwrap();
        let without = breakdown("without_timing_header");
        assert!(without == 1 || breakdown("without_breakdown") > 0, "{summary}");
    }
}
