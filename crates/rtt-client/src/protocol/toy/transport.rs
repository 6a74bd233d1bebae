//! The toy transport. It simulates a server in the client's process. The port selects the server's behaviour:
//!
//! | port | behaviour |
//! |---|---|
//! | 4000 | replies after 1 ms |
//! | 4001 | replies after 4 ms |
//! | 4002 | delays every fourth reply, so later replies overtake it |
//! | 4003 | refuses the key exchange |
//! | 4004 | never replies |

use super::facts::FACTS;
use crate::model::breakdown::TimestampId;
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::Connection;
use crate::model::icmp::Origin;
use crate::net::system::{NetworkError, WaitUntil};
use crate::net::transport::{
    OpenAttempt, OpenConfig, Received, SentRequest, SocketError, Transport,
};
use bytes::BytesMut;
use echo_core::Stamp;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// The duration of each phase of a connection.
const PHASE: Duration = Duration::from_millis(1);

/// The simulated behaviour of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Replies { after: Duration },
    DelaysEveryFourth,
    RefusesKeyExchange,
    NeverReplies,
}

impl Behaviour {
    fn of_port(port: u16) -> Self {
        match port {
            4001 => Self::Replies { after: Duration::from_millis(4) },
            4002 => Self::DelaysEveryFourth,
            4003 => Self::RefusesKeyExchange,
            4004 => Self::NeverReplies,
            _ => Self::Replies { after: Duration::from_millis(1) },
        }
    }

    /// The delay of the reply to the request with this number, if there is a reply.
    fn delay(self, number: u64) -> Option<Duration> {
        match self {
            Self::Replies { after } => Some(after),
            Self::DelaysEveryFourth if number % 4 == 1 => Some(Duration::from_millis(45)),
            Self::DelaysEveryFourth => Some(Duration::from_millis(1)),
            Self::RefusesKeyExchange | Self::NeverReplies => None,
        }
    }
}

struct Toy {
    behaviour: Behaviour,
    requests: u64,
    /// The replies on their way, and the times of their arrival.
    replies: Vec<(Instant, Vec<u8>)>,
    current: Vec<u8>,
}

/// Opens a connection to the simulated server at `peer`.
#[expect(clippy::unnecessary_wraps, reason = "the signature of a driver")]
pub(super) fn open(peer: SocketAddr, _: OpenConfig<'_>) -> Result<OpenAttempt, SocketError> {
    let behaviour = Behaviour::of_port(peer.port());
    let mut connection = Connection::requested(Stamp::just_before());
    thread::sleep(PHASE);
    connection.complete(&FACTS.phases[0], Stamp::just_after());
    thread::sleep(PHASE);
    if behaviour == Behaviour::RefusesKeyExchange {
        let failure =
            Failure { origin: Some(Origin::Peer), ..Failure::new(Condition::Refused, 2 * PHASE) };
        return Ok(OpenAttempt { connection: Some(connection), transport: Err(failure) });
    }
    connection.complete(&FACTS.phases[1], Stamp::just_after());
    connection.is_established = true;
    let transport = Toy { behaviour, requests: 0, replies: Vec::new(), current: Vec::new() };
    Ok(OpenAttempt { connection: Some(connection), transport: Ok(Box::new(transport)) })
}

impl Transport for Toy {
    fn local(&self) -> Option<SocketAddr> {
        Some(([127, 0, 0, 1], 4999).into())
    }

    fn send(&mut self, _: u64, request: &[u8], _: &AtomicBool) -> io::Result<SentRequest> {
        let stamp = Stamp::just_before();
        self.requests += 1;
        if let Some(delay) = self.behaviour.delay(self.requests) {
            let mut reply = BytesMut::from(request);
            echo_core::uppercase(&mut reply);
            self.replies.push((stamp.monotonic() + delay, reply.to_vec()));
        }
        Ok(SentRequest { stamp, timestamp_id: TimestampId::default() })
    }

    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        let next = self.replies.iter().map(|(arrival, _)| *arrival).min();
        let end = next.map_or(until.deadline(), |next| next.min(until.deadline()));
        thread::sleep(end.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        let Some(index) = self.replies.iter().position(|(arrival, _)| *arrival <= now) else {
            return Ok(Received::Nothing);
        };
        self.current = self.replies.remove(index).1;
        let received = Stamp::just_after();
        let bytes = &self.current;
        Ok(Received::Bytes { received, timestamp: None, hop_limit: None, request: None, bytes })
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        Vec::new()
    }

    fn transmitted(&mut self, _: TimestampId) -> Option<SystemTime> {
        None
    }
}
