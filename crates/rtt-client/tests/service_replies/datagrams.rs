//! Requests to services over UDP: replies that are lost, late, duplicate, in another order, or have a wrong identifier.

use super::scripted::{at_rate, back_to_back, counts, series};
use super::server::udp_server;
use super::{duration, ends, exchange, request, service};
use rtt_client::report::{Json, JsonConfig};
use rtt_client::{Content, DiagnosisPlan, ReplyEnd, Settings, diagnose};
use serde_json::Value;
use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

#[test]
fn replies_without_a_number_belong_to_the_requests_in_order() {
    // The server does not answer request 3. So the reply to request 4 counts as the reply to request 3, and so on.
    let mut number = 0;
    let server = udp_server(move |_, send| {
        number += 1;
        if number != 3 {
            send(b"PONG");
        }
    });
    let interval = Duration::from_millis(50);
    let settings = Settings {
        timeout: Duration::from_secs(2),
        ..request("PONG", ReplyEnd::FirstBytes, at_rate(8, 20.0))
    };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received", "lost", "corrupt"]), [7, 1, 0], "{summary}");
    assert_eq!(exchange(&events, 8)["outcome"], "lost");
    // The next reply arrives one interval later. A late send of request 3 can shorten this time.
    let shifted = duration(&exchange(&events, 3)["rtt_ns"]);
    assert!(shifted > interval / 2, "{shifted:?}");
}

#[test]
fn second_reply_without_a_number_belongs_to_no_request() {
    let server = udp_server(|_, send| {
        send(b"PONG");
        send(b"PONG");
    });
    // The pause is much longer than the time until the second reply arrives.
    let settings = Settings {
        interval: Duration::from_secs(1),
        ..request("PONG", ReplyEnd::FirstBytes, back_to_back(4))
    };
    let (summary, _) = series("udp", &server, settings);
    let [received, lost, unmatched] = counts(&summary, ["received", "lost", "unmatched"]);
    assert_eq!((received, lost), (4, 0), "{summary}");
    // The run can end before it receives the last datagram.
    assert!((3..=4).contains(&unmatched), "{summary}");
}

/// A reply to this DNS query.
fn dns_reply(query: &[u8]) -> Vec<u8> {
    let mut reply = query.to_vec();
    reply[2] |= 0x80;
    reply
}

#[test]
fn dns_replies_in_another_order_belong_to_their_queries() {
    let mut batch = Vec::new();
    let server = udp_server(move |query, send| {
        batch.push(dns_reply(query));
        if batch.len() == 4 {
            batch.drain(..).rev().for_each(|reply| send(&reply));
        }
    });
    let (summary, _) = series("udp", &server, service("dns", at_rate(20, 200.0)));
    let names = ["received", "out_of_order", "duplicates", "unmatched", "corrupt"];
    assert_eq!(counts(&summary, names), [20, 15, 0, 0, 0], "{summary}");
}

#[test]
fn dns_reply_with_a_wrong_identifier_is_corrupt() {
    let mut number = 0;
    let server = udp_server(move |query, send| {
        number += 1;
        let mut reply = dns_reply(query);
        match number {
            // Only a wrong reply.
            2 => {
                reply[0] ^= 1;
                send(&reply);
            }
            // A forged reply before the correct one.
            3 => {
                let mut forged = reply.clone();
                forged[1] ^= 0x80;
                send(&forged);
                send(&reply);
            }
            _ => send(&reply),
        }
    });
    let settings = Settings {
        content: Content::Service("dns".to_owned()),
        timeout: Duration::from_secs(1),
        ..back_to_back(4)
    };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received", "lost", "corrupt"]), [3, 0, 1], "{summary}");
    let wrong = exchange(&events, 2);
    assert_eq!(
        (&wrong["outcome"], &wrong["condition"]),
        (&"corrupt".into(), &"wrong-answer".into())
    );
    assert!(wrong["detail"].as_str().unwrap().contains("identifier"), "{wrong}");
    assert_eq!(exchange(&events, 3)["outcome"], "reply");
}

#[test]
fn late_and_duplicate_dns_replies_are_counted() {
    let mut late = Vec::new();
    let mut number = 0;
    let server = udp_server(move |query, send| {
        number += 1;
        let reply = dns_reply(query);
        match number {
            2 => late = reply,
            // Query 3 arrives after the timeout of query 2.
            3 => {
                send(&late);
                send(&reply);
            }
            4 => {
                send(&reply);
                send(&reply);
            }
            _ => send(&reply),
        }
    });
    let settings = Settings {
        content: Content::Service("dns".to_owned()),
        timeout: Duration::from_secs(1),
        ..back_to_back(5)
    };
    let (summary, _) = series("udp", &server, settings);
    let names = ["received", "lost", "late", "duplicates", "corrupt", "unmatched"];
    assert_eq!(counts(&summary, names), [4, 1, 1, 1, 0, 0], "{summary}");
}

#[test]
fn bytes_after_the_end_of_a_datagram_are_corrupt() {
    let server = udp_server(|_, send| send(b"+PONG\r\n+AGAIN\r\n"));
    let mut settings = Settings {
        timeout: Duration::from_secs(1),
        ..request("+PONG", ends("\r\n"), back_to_back(2))
    };
    let (summary, _) = series("udp", &server, settings.clone());
    assert_eq!(counts(&summary, ["received", "lost", "corrupt"]), [0, 0, 2], "{summary}");
    // An empty datagram is a request: the server does not send first.
    let Content::Request(request) = &mut settings.content else { unreachable!() };
    request.bytes.clear();
    let (summary, _) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received", "lost", "corrupt"]), [0, 0, 2], "{summary}");
}

/// Starts a server that does not answer the first datagrams of each source. A diagnosis sends requests from two sockets.
fn server_that_ignores(first: u64) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut counts = HashMap::new();
        while let Ok((_, source)) = socket.recv_from(&mut [0; 64]) {
            let count = counts.entry(source).or_insert(0_u64);
            *count += 1;
            if *count > first {
                // The client may have closed its socket.
                let _ = socket.send_to(b"PONG", source);
            }
        }
    });
    address
}

#[test]
fn diagnosis_has_an_rtt_only_if_the_answered_request_is_known() {
    for lost in [0, 1] {
        let server = server_that_ignores(lost);
        let settings = request("PONG", ReplyEnd::FirstBytes, Settings::one(""));
        let settings = Settings { timeout: Duration::from_secs(2), ..settings };
        let target = format!("udp://{server}").parse().unwrap();
        let plan = DiagnosisPlan::new(&target, &settings).unwrap();
        let mut lines = Vec::new();
        let mut json = Json::new(&mut lines, JsonConfig::default());
        assert!(diagnose(&plan, &mut json, &AtomicBool::new(false)).unwrap());
        let lines = String::from_utf8(lines).unwrap();
        let finding = lines.lines().find(|line| line.contains("\"type\":\"finding\"")).unwrap();
        let finding: Value = serde_json::from_str(finding).unwrap();
        assert_eq!(
            (&finding["condition"], &finding["sent"]),
            (&"answering".into(), &(lost + 1).into()),
            "{finding}"
        );
        assert_eq!(finding.get("rtt_ns").is_some(), lost == 0, "{finding}");
        // The time from the first request contains the wait before the second one.
        let after = duration(&finding["after_ns"]);
        assert!(lost == 0 || after > Duration::from_millis(100), "{finding}");
    }
}
