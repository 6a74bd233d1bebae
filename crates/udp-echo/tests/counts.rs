//! Tests of the counts that the UDP server reports in timing headers of version 2.

mod server;

use echo_core::header::version2::{
    FlowCounts, HEADER_LEN, MIN_LEN, ReplyHeader, Report, Requested, parse_reply_header,
    request_header,
};
use echo_core::header::{ArrivalClock, HEADER_LEN as VERSION_1_LEN};
use server::{Server, exchange, receive};
use std::time::{Duration, SystemTime};
use tokio::net::UdpSocket;
use udp_echo::Config;

/// Builds the request with this number. It has `length` bytes.
fn request(number: u64, requested: Requested, length: usize) -> Vec<u8> {
    let mut request = request_header(length, requested, 1).to_vec();
    request.extend_from_slice(format!("{number:010}").as_bytes());
    request.resize(length, b'x');
    request
}

fn report(reply: &[u8]) -> Report {
    match parse_reply_header(reply.first_chunk().unwrap(), reply.len()) {
        ReplyHeader::Report(report) => report,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(reply)),
    }
}

async fn counts(client: &UdpSocket, number: u64) -> FlowCounts {
    report(&exchange(client, &request(number, Requested::Counts, MIN_LEN)).await).flow.unwrap()
}

#[tokio::test]
async fn reply_has_the_length_of_its_request_and_the_counts_of_its_flow() {
    let server = Server::start();
    let client = server.connect().await;
    for number in 1..=5 {
        let request = request(number, Requested::Counts, 200);
        let reply = exchange(&client, &request).await;
        assert_eq!(reply.len(), request.len());
        assert_eq!(&reply[HEADER_LEN..MIN_LEN], format!("{number:010}").as_bytes());
        assert_eq!(reply[MIN_LEN..], [b'X'; 72]);
        let report = report(&reply);
        let flow = report.flow.unwrap();
        assert_eq!((u64::from(flow.received), u64::from(flow.sent)), (number, number));
        assert_eq!((flow.refused_rate, flow.refused_list), (0, 0));
        let drops = cfg!(all(target_os = "linux", not(portable))).then_some(0);
        assert_eq!(flow.queue_drops, drops);
        assert_eq!(report.timing.arrival, ArrivalClock::Program, "timestamps were not requested");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let age = now.checked_sub(report.arrival).expect("the request arrived before now");
        assert!(age < Duration::from_secs(10), "{age:?}");
    }
    // Plain text and requests of version 1 do not count.
    assert_eq!(exchange(&client, b"text").await, b"TEXT");
    let mut version_1 = echo_core::header::request_header(60).to_vec();
    version_1.resize(60, b'x');
    assert_eq!(exchange(&client, &version_1).await.len(), 20 + VERSION_1_LEN);
    assert_eq!(counts(&client, 6).await.received, 6);
    let other = server.connect().await;
    assert_eq!(counts(&other, 1).await.received, 1, "another flow");
}

#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn kernel_timestamps_the_arrival_if_a_request_requires_it() {
    let server = Server::start();
    let client = server.connect().await;
    let mut clocks = Vec::new();
    for number in 0..20 {
        let request = request(number, Requested::CountsAndTimestamps, MIN_LEN);
        clocks.push(report(&exchange(&client, &request).await).timing.arrival);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(clocks[0], ArrivalClock::Program);
    assert_eq!(clocks[19], ArrivalClock::Kernel);
}

#[tokio::test]
async fn refused_requests_are_reported_with_the_next_reply() {
    let server = Server::start_with(Config { rate: Some(20), ..Config::default() }, |_| {});
    let client = server.connect().await;
    for number in 1..=100 {
        client.send(&request(number, Requested::Counts, MIN_LEN)).await.unwrap();
    }
    let mut answered = 1;
    let mut last = report(&receive(&client).await).flow.unwrap();
    while last.sent < 20 {
        last = report(&receive(&client).await).flow.unwrap();
        answered += 1;
    }
    // The bucket of the source has tokens again after 1/20 s.
    tokio::time::sleep(Duration::from_millis(500)).await;
    while let Ok(length) = client.try_recv(&mut [0; 500]) {
        assert_eq!(length, MIN_LEN);
        answered += 1;
    }
    let last = counts(&client, 101).await;
    assert_eq!((last.received, last.sent), (101, answered + 1));
    assert_eq!(last.refused_rate, 100 - answered);
    assert_eq!(server.shut_down().await.refused_rate_limit, u64::from(100 - answered));
}

#[tokio::test]
async fn duplicate_of_a_request_is_answered_but_not_counted() {
    let server = Server::start();
    let client = server.connect().await;
    for (number, received, sent) in [(1, 1, 1), (2, 2, 2), (2, 2, 3), (1, 2, 4), (3, 3, 5)] {
        let counts = counts(&client, number).await;
        assert_eq!((counts.received, counts.sent), (received, sent), "{number}");
    }
}
