//! Tests: when a channel is opened, replaced and closed.

use super::*;
use crate::engine::channel::ChannelEvent;
use crate::engine::test_transport::{ADDRESS, open_echo};
use crate::model::address_change::AddressChangeReason;
use crate::model::icmp::Origin;
use crate::model::protocol::ReplyForm;
use crate::net::system::WaitUntil;
use crate::net::transport::SocketOperation;
use crate::plan::Settings;
use crate::plan::payload::{EchoPayload, HeaderContent, Payload};
use crate::protocol::registry::protocol_named;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

const CLOSED: CloseReason = CloseReason::ByServer(Condition::Closed);

fn connections(settings: Settings) -> Connections<'static> {
    let tcp = protocol_named("tcp").unwrap();
    let config = OpenConfig::new(&settings);
    let plan = Plan::new(tcp, "127.0.0.1".parse().unwrap(), settings).unwrap();
    let first = open_at(RunPosition::Start, open_echo, ADDRESS, config).unwrap();
    Connections::new(open_echo, &plan, Some(ADDRESS), config, first)
}

/// Sends one request and receives its reply. Returns the number of new connections.
fn exchange(connections: &mut Connections<'_>) -> usize {
    let mut payload: Payload =
        EchoPayload::of_size(10, HeaderContent::Nothing, ReplyForm::UpperCase).into();
    let Ready::Open(channel) = connections.ready(LookUpTime::Now) else { panic!("no channel") };
    channel.send(1, payload.request(1), &AtomicBool::new(false)).unwrap();
    let event = channel.receive(WaitUntil::Exact(Instant::now()), &mut payload, None).unwrap();
    assert!(matches!(event, ChannelEvent::Reply(_)), "{event:?}");
    connections.new_connections().count()
}

#[test]
fn all_exchanges_use_one_connection() {
    let mut connections = connections(Settings::series(10));
    let opened: Vec<usize> = (0..3).map(|_| exchange(&mut connections)).collect();
    assert_eq!(opened, [1, 0, 0]);
    assert_eq!(connections.take_local_addresses().collect::<Vec<_>>(), [ADDRESS]);
}

#[test]
fn new_connection_is_opened_for_each_exchange_if_requested() {
    let settings = Settings { lifetime: Lifetime::Each, ..Settings::series(10) };
    let mut connections = connections(settings);
    let opened: Vec<usize> = (0..3).map(|_| exchange(&mut connections)).collect();
    assert_eq!(opened, [1, 1, 1]);
    assert_eq!(connections.finish().close_durations.count(), 2);
}

#[test]
fn first_local_address_is_available_before_the_first_exchange() {
    let connections = connections(Settings::series(10));
    assert_eq!(connections.first_local_address(), Some(ADDRESS));
}

#[test]
fn first_exchange_on_a_connection_is_recognised() {
    let mut connections = connections(Settings::series(10));
    exchange(&mut connections);
    assert_eq!(connections.exchange_position(), Some(ConnectionPosition::First));
    exchange(&mut connections);
    assert_eq!(connections.exchange_position(), Some(ConnectionPosition::Later));
    connections.end(CLOSED);
    assert_eq!(connections.exchange_position(), None);
}

#[test]
fn ended_channel_returns_its_unanswered_requests() {
    let mut connections = connections(Settings::series(10));
    exchange(&mut connections);
    let Ready::Open(channel) = connections.ready(LookUpTime::Now) else { panic!("no channel") };
    channel.send(2, b"0000000002", &AtomicBool::new(false)).unwrap();
    let ended = connections.end(CLOSED).unwrap();
    assert_eq!((ended.replies, ended.partial_reply_len), (1, 0));
    assert!(connections.channel().is_none());
    assert!(connections.end(CLOSED).is_none());
}

#[test]
fn each_event_has_the_address_of_its_connection() {
    let other = SocketAddr::from(([192, 0, 2, 7], 7));
    let settings = Settings::series(10);
    let attempt = open_echo(other, OpenConfig::new(&settings)).unwrap();
    let mut connections = connections(settings);
    assert!(matches!(connections.ready(LookUpTime::Now), Ready::Open(_)));
    let reason = AddressChangeReason::NameChanged;
    connections.set_next(PeerAttempt { address: Some(other), reason, attempt });
    connections.end(CLOSED);
    assert!(matches!(connections.ready(LookUpTime::Now), Ready::Open(_)));
    let addresses: Vec<_> = connections.events.iter().map(|event| event.address).collect();
    assert_eq!(addresses, [Some(ADDRESS), Some(ADDRESS), Some(other)]);
}

#[test]
fn client_replaces_a_connection_at_the_reply_limit_of_the_server() {
    let mut connections = connections(Settings::series(10));
    for _ in 0..2 {
        exchange(&mut connections);
        exchange(&mut connections);
        connections.end(CLOSED);
    }
    assert_eq!(exchange(&mut connections), 1);
    assert_eq!(exchange(&mut connections), 0);
    assert_eq!(exchange(&mut connections), 1, "the client does not wait for the third close");
    assert_eq!(connections.finish().reply_limit, Some(2));
}

#[test]
fn reply_limit_is_not_used_at_a_fixed_rate() {
    let mut connections = connections(Settings { rate: Some(10.0), ..Settings::series(10) });
    for _ in 0..2 {
        exchange(&mut connections);
        connections.end(CLOSED);
    }
    assert_eq!(exchange(&mut connections), 1);
    assert_eq!(exchange(&mut connections), 0);
    assert_eq!(connections.finish().reply_limit, Some(1));
}

#[test]
fn reply_limit_is_confirmed_by_the_same_number_twice_in_a_row() {
    for (closes, limit) in [
        (&[3][..], None),
        (&[3, 3], Some(3)),
        (&[3, 1, 3], None),
        (&[1, 3, 3], Some(3)),
        (&[3, 3, 1], Some(3)),
    ] {
        let mut reply_limit = ReplyLimit::default();
        for replies in closes {
            reply_limit.closed_after(*replies);
        }
        assert_eq!(reply_limit.confirmed, limit, "{closes:?}");
    }
}

#[test]
fn reset_is_not_a_reply_limit() {
    let mut connections = connections(Settings::series(10));
    for _ in 0..2 {
        exchange(&mut connections);
        connections.end(CloseReason::ByServer(Condition::Reset));
    }
    assert_eq!(connections.finish().reply_limit, None);
}

#[test]
fn single_exchange_does_not_wait_for_the_end_of_its_connection() {
    for (count, closes) in [(1, 0), (2, 1)] {
        let mut connections = connections(Settings::series(count));
        exchange(&mut connections);
        connections.close(CloseReason::EndOfSeries);
        assert_eq!(connections.finish().close_durations.count(), closes);
    }
}

#[test]
fn traffic_is_unknown_if_one_channel_does_not_report_it() {
    let mut connections = connections(Settings::series(10));
    assert_eq!(connections.traffic(), Some(Traffic::default()));
    exchange(&mut connections);
    assert_eq!(connections.traffic(), None);
    connections.end(CLOSED);
    assert_eq!(connections.traffic(), None);
}

#[test]
fn error_of_the_system_ends_a_run_only_at_its_start() {
    fn refuse(address: SocketAddr, _: OpenConfig<'_>) -> Result<OpenAttempt, SocketError> {
        let error = std::io::ErrorKind::PermissionDenied.into();
        let protocol = protocol_named("tcp").unwrap();
        Err(SocketError { operation: SocketOperation::Create, protocol, address, error })
    }
    let tcp = protocol_named("tcp").unwrap();
    let settings = Settings::series(3);
    let config = OpenConfig::new(&settings);
    let plan = Plan::new(tcp, "127.0.0.1".parse().unwrap(), settings).unwrap();
    let open = |position| open_at(position, refuse, ADDRESS, config);
    assert!(open(RunPosition::Start).is_err());
    let first = open(RunPosition::Middle).unwrap();
    let mut connections = Connections::new(refuse, &plan, Some(ADDRESS), config, first);
    for _ in 0..2 {
        let Ready::Failed(failure) = connections.ready(LookUpTime::Now) else {
            panic!("a channel")
        };
        assert_eq!(failure.condition, Condition::PermissionDenied);
        assert_eq!(failure.origin, Some(Origin::ThisHost));
    }
}
