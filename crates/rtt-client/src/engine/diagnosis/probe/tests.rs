//! Tests: the end of a probe whose socket returns only errors.

use super::*;
use crate::model::breakdown::TimestampId;
use crate::net::system::NetworkError;
use crate::net::transport::{Received, SentRequest, Transport};
use crate::protocol::registry::protocol_named;
use std::time::SystemTime;

/// A transport on which forged errors arrive without an end. Each call returns one. The second request is a failure of the
/// test.
struct Refused {
    requests: u32,
}

impl Transport for Refused {
    fn local(&self) -> Option<SocketAddr> {
        None
    }

    fn send(&mut self, _: u64, _: &[u8], _: &AtomicBool) -> io::Result<SentRequest> {
        self.requests += 1;
        assert_eq!(self.requests, 1, "the probe does not end");
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn receive(&mut self, _: WaitUntil) -> io::Result<Received<'_>> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        Vec::new()
    }

    fn transmitted(&mut self, _: TimestampId) -> Option<SystemTime> {
        None
    }
}

#[test]
fn errors_without_an_end_do_not_extend_a_probe() {
    const LONG: Duration = Duration::from_mins(1);
    let protocol = protocol_named("udp").unwrap();
    let target = "127.0.0.1:9".parse().unwrap();
    let plan = Plan::new(protocol, target, Settings::one("x")).unwrap();
    for (time, is_stopped) in [(Duration::ZERO, false), (LONG, true)] {
        let start = Instant::now();
        let mut requests = Requests {
            protocol,
            channel: Channel::new(Box::new(Refused { requests: 0 }), protocol.framing),
            payload: plan.payload.clone(),
            times: &SEVERAL_TIMES,
            start,
            deadline: start + LONG,
            end: start + time,
            stop: &AtomicBool::new(is_stopped),
            sent: Vec::new(),
            error: None,
            wrong_answer: None,
        };
        let ProbeResult::NoAnswer(failure) = requests.run() else { panic!("no server answers") };
        assert_eq!(failure.condition, Condition::Refused);
    }
}
