//! Series against peers that lose, double, delay and reorder as told: the counts must be those of the
//! script, exactly.

mod scripted;

use rtt_client::{Content, Settings};
use scripted::{at_rate, counts, quickly, series};
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

/// The number that a request of a series bears.
fn number(request: &[u8]) -> u64 {
    std::str::from_utf8(&request[..10]).unwrap().parse().unwrap()
}

/// A UDP server that calls `answer` with each request, its number, and a way to send replies.
fn udp_server(mut answer: impl FnMut(u64, Vec<u8>, &dyn Fn(&[u8])) + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut text = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut text) {
            let reply = text[..length].to_ascii_uppercase();
            answer(number(&reply), reply, &|reply| {
                // The client may have gone.
                let _ = socket.send_to(reply, client);
            });
        }
    });
    address
}

#[test]
fn loss_and_doubling_are_counted_exactly() {
    for settings in [quickly(210), at_rate(210, 2000.0)] {
        let server = udp_server(|number, reply, send| {
            if number % 10 != 0 {
                send(&reply);
            }
            // The last request's too, and three times at that.
            if number % 7 == 0 {
                send(&reply);
                send(&reply);
            }
        });
        let (summary, _) = series("udp", &server, settings);
        // 21 tens, of which 70, 140 and 210 come through as sevens: two copies of them, one a double.
        let lost = 21 - 3;
        let doubled = 2 * 30 - 3;
        let names = ["sent", "received", "lost", "corrupt", "duplicates", "late", "strays"];
        assert_eq!(counts(&summary, names), [210, 210 - lost, lost, 0, doubled, 0, 0]);
    }
}

#[test]
fn late_replies_are_lost_requests_and_counted_apart() {
    let mut kept = None;
    let server = udp_server(move |number, reply, send| {
        // Each fifth reply waits for the next request, which comes after its time-out.
        if let Some(kept) = kept.take() {
            send(kept);
        }
        if number % 5 == 0 {
            kept = Some(&*reply.leak());
        } else {
            send(&reply);
        }
    });
    let settings = Settings { timeout: Duration::from_millis(150), ..quickly(24) };
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
fn reordering_is_counted_by_number() {
    let mut kept: Option<Vec<u8>> = None;
    let server = udp_server(move |number, reply, send| {
        if number % 6 == 0 {
            kept = Some(reply);
        } else {
            send(&reply);
            if let Some(overtaken) = kept.take() {
                send(&overtaken);
            }
        }
    });
    let (summary, _) = series("udp", &server, at_rate(120, 1000.0));
    // The last one, number 120, is never overtaken, and so never sent.
    let names = ["sent", "received", "lost", "out_of_order", "duplicates", "late"];
    assert_eq!(counts(&summary, names), [120, 119, 1, 19, 0, 0]);
}

#[test]
fn garbage_is_corrupt_or_of_no_request_and_never_a_figure() {
    // One at a time it can only be the answer to the one.
    let server = udp_server(|number, reply, send| match number % 4 {
        0 => send(b"GARBAGE"),
        1 => send(&reply[..20]),
        2 => send(&reply.to_ascii_lowercase()),
        _ => send(&reply),
    });
    let (summary, _) = series("udp", &server, quickly(40));
    assert_eq!(counts(&summary, ["received", "corrupt", "lost"]), [10, 30, 0]);
    assert!(summary["rtt_ns"]["min"].is_u64());
    // On a schedule it belongs to nobody in particular, if it bears no number.
    let server = udp_server(|_, reply, send| {
        send(b"GARBAGE");
        send(&reply);
    });
    let (summary, _) = series("udp", &server, at_rate(40, 4000.0));
    let [received, corrupt, strays] = counts(&summary, ["received", "corrupt", "strays"]);
    assert_eq!((received + corrupt, strays), (40, 40 - corrupt));
}

#[test]
fn a_stalled_server_can_not_hide_what_it_kept_from_being_sent() {
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
    // Some 150 requests met the stall, half of them for more than half of it: the p90 of 600 is one of
    // those, where a client that waits would have had a single long exchange.
    let p90 = |name: &str| Duration::from_nanos(summary[name]["p90"].as_u64().unwrap());
    assert!(p90("rtt_ns") > STALL / 2, "{summary}");
    assert!(p90("rtt_from_schedule_ns") >= p90("rtt_ns"), "{summary}");
    for event in events.iter().filter(|event| event["type"] == "exchange") {
        assert!(event["lateness_ns"].is_u64(), "{event}");
    }
}

#[test]
fn a_series_to_nobody_ends_with_its_first_exchange() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let begun = Instant::now();
    for protocol in ["udp", "tcp"] {
        let settings = Settings { interval: Duration::from_secs(1), ..quickly(1000) };
        let (summary, events) = series(protocol, &nobody, settings);
        assert_eq!(counts(&summary, ["sent", "lost"]), [1, 1]);
        assert!(events.iter().any(|event| event["condition"] == "refused"), "{events:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn noise_does_not_prolong_a_time_out() {
    // Strays come all the time; what is waited for never does.
    let server = udp_server(|number, _, send| {
        for _ in 0..6 {
            thread::sleep(Duration::from_millis(90));
            send(format!("{:010}", number + 1000).as_bytes());
        }
    });
    let settings = Settings { timeout: Duration::from_millis(200), ..quickly(2) };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "lost"]), [2, 2]);
    for event in events.iter().filter(|event| event["type"] == "exchange") {
        let after = Duration::from_nanos(event["after_ns"].as_u64().unwrap());
        assert!(after < Duration::from_millis(390), "{after:?}");
    }
}

#[test]
fn a_reply_after_its_time_is_late_whatever_came_before_it() {
    let server = udp_server(|number, reply, send| {
        thread::sleep(Duration::from_millis(150));
        send(format!("{:010}", number + 1000).as_bytes());
        thread::sleep(Duration::from_millis(150));
        send(&reply);
    });
    let settings = Settings { timeout: Duration::from_millis(200), ..quickly(2) };
    let (summary, _) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["sent", "received", "lost"]), [2, 0, 2]);
    assert!(summary.get("rtt_ns").is_none(), "{summary}");
}

#[test]
fn a_message_in_a_series_is_numbered_and_checked() {
    let server = udp_server(|_, reply, send| send(&reply));
    let content = Content::Numbered("straße".into());
    // The script's server knows ASCII alone, and the client notices.
    let (summary, _) = series("udp", &server, Settings { content, ..quickly(3) });
    assert_eq!(counts(&summary, ["corrupt"]), [3]);
    let content = Content::Numbered("hello".into());
    let (summary, events) = series("udp", &server, Settings { content, ..quickly(3) });
    assert_eq!(counts(&summary, ["received"]), [3]);
    assert!(events.iter().all(|event| event["type"] != "exchange" || event["reply"] == "HELLO"));
}

#[test]
fn an_interval_is_kept_and_a_duration_ends_it() {
    let server = udp_server(|_, reply, send| send(&reply));
    let settings = Settings {
        count: None,
        duration: Some(Duration::from_millis(200)),
        interval: Duration::from_millis(20),
        ..quickly(1)
    };
    let (summary, _) = series("udp", &server, settings);
    // At 0, 20, ... 180 ms; a machine under load makes fewer.
    let [sent] = counts(&summary, ["sent"]);
    assert!((1..=10).contains(&sent), "{sent}");
}

#[test]
fn a_breakdown_adds_up_or_says_that_it_is_not_here() {
    let server = udp_server_of_text();
    let settings = Settings { breakdown: true, ..quickly(100) };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received"]), [100]);
    if cfg!(all(target_os = "linux", not(portable))) {
        let mut split = 0;
        for event in events.iter().filter_map(|event| event.get("breakdown").map(|_| event)) {
            let parts = event["breakdown"].as_object().unwrap();
            let sum: u64 = parts.values().map(|part| part.as_u64().unwrap()).sum();
            assert_eq!(sum, event["rtt_ns"].as_u64().unwrap(), "{event}");
            // A server of text tells no time of its own.
            assert!(parts.contains_key("network_and_server_ns"), "{event}");
            split += 1;
        }
        assert!(split >= 90, "{split} of 100 split: {summary}");
        assert!(summary["instruments"]["cost_ns"].is_i64(), "{summary}");
    } else {
        assert!(summary["notes"][0].as_str().unwrap().contains("not available"), "{summary}");
        assert!(summary.get("breakdown").is_none());
    }
}

/// A UDP server of text alone, for requests that begin with something else than their number.
fn udp_server_of_text() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut text = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut text) {
            let _ = socket.send_to(&text[..length].to_ascii_uppercase(), client);
        }
    });
    address
}

/// A UDP server that answers the header of each request as told; `rtt-client --breakdown` is its client.
fn udp_server_with_header(header: impl Fn(u64, usize) -> Vec<u8> + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut text = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut text) {
            let mut reply = text[..length].to_ascii_uppercase();
            let header = header(number(&reply[40..]), length);
            reply[..header.len()].copy_from_slice(&header);
            let _ = socket.send_to(&reply, client);
        }
    });
    address
}

#[test]
fn headers_that_can_not_be_are_corrupt() {
    use echo_core::header::{ArrivalClock, Timing, reply_header};
    let timing = |arrival, server| Timing { arrival, server };
    let server = udp_server_with_header(move |number, length| match number % 5 {
        // Longer than any round trip here.
        0 => reply_header(length, timing(ArrivalClock::Kernel, Duration::from_secs(100))).to_vec(),
        // Of another length; with a letter among the digits; half of one.
        1 => reply_header(length + 1, timing(ArrivalClock::Kernel, Duration::ZERO)).to_vec(),
        2 => {
            let mut header =
                reply_header(length, timing(ArrivalClock::Kernel, Duration::ZERO)).to_vec();
            header[30] = b'X';
            header
        }
        3 => reply_header(length, timing(ArrivalClock::Kernel, Duration::ZERO))[..20].to_vec(),
        _ => reply_header(length, timing(ArrivalClock::Program, Duration::from_nanos(1))).to_vec(),
    });
    let settings = Settings { breakdown: true, ..quickly(50) };
    let (summary, _) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received", "corrupt"]), [10, 40], "{summary}");
    let parts = summary.get("breakdown");
    assert!(parts.is_none_or(|parts| parts.get("server_ns").is_none()), "{summary}");
}
