//! When a control exchange is due, and its RTTs.

use super::*;
use crate::engine::test_transport::{ADDRESS, open_echo};
use crate::model::exchange::Outcome;
use crate::net::system::ReceiveConfig;
use crate::plan::Settings;
use crate::protocol::registry::protocol_named;
use echo_core::Stamp;

fn control(settings: Settings) -> UninstrumentedControl {
    let tcp = protocol_named("tcp").unwrap();
    let settings = Settings { breakdown: true, ..settings };
    let plan = Plan::new(tcp, "127.0.0.1".parse().unwrap(), settings).unwrap();
    let receiver = ReceiveConfig { timeout: Duration::from_secs(2), spin: false, timestamps: true };
    let config = OpenConfig { bind: None, nagle: false, receiver };
    let control = UninstrumentedControl::new(&plan, ADDRESS, config);
    UninstrumentedControl { open: open_echo, ..control }
}

fn exchange(outcome: Outcome) -> Exchange {
    Exchange {
        seq: 1,
        sent: Some(Stamp::just_before()),
        lateness: None,
        first_on_connection: None,
        outcome,
        breakdown: None,
    }
}

#[test]
fn control_follows_an_answered_exchange_only() {
    use crate::model::condition::{Condition, Failure};
    let mut control = control(Settings::series(10));
    assert!(!control.is_due());
    let received = Stamp::just_after();
    control.exchange_decided(&exchange(Outcome::Reply { received, text: None }));
    assert!(control.is_due());
    control.run_exchange(&AtomicBool::new(false)).unwrap();
    assert!(!control.is_due());
    let failure = Failure::new(Condition::Silent, Duration::from_secs(2));
    control.exchange_decided(&exchange(Outcome::Lost(failure)));
    assert!(!control.is_due());
}

#[test]
fn control_requests_neither_kernel_timestamps_nor_the_processing_time() {
    let control = control(Settings::series(10));
    assert!(!control.config.receiver.timestamps);
    let payload = control.payload.clone().request(1).to_vec();
    assert!(!payload.starts_with(b"echo-rtt"), "{payload:?}");
}

#[test]
fn each_control_exchange_has_an_rtt() {
    for (lifetime, keeps) in [(Lifetime::Keep, true), (Lifetime::Each, false)] {
        let mut control = control(Settings { lifetime, ..Settings::series(10) });
        for _ in 0..3 {
            control.run_exchange(&AtomicBool::new(false)).unwrap();
        }
        assert_eq!(control.channel.is_some(), keeps);
        assert_eq!(control.finish().count(), 3);
    }
}
