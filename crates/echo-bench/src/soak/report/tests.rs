//! Tests of the ratios and of the limits.

use super::*;
use crate::soak::attack::ATTACKS;
use std::time::Duration;

const ACTIVE: AttackCounts =
    AttackCounts { requests: 1, bytes: 1, opened: 0, closed: 0, milliseconds: 1 };

fn rounds(milliseconds: [u64; 3], requests: u64) -> Vec<Latencies> {
    let round = |value| {
        let mut latencies = Latencies::default();
        for _ in 0..requests {
            latencies.reply(Duration::from_millis(value));
        }
        latencies
    };
    milliseconds.map(round).to_vec()
}

fn with_losses(requests: u64, lost: u64) -> Latencies {
    let mut latencies = sum(&rounds([1, 1, 1], requests / 3));
    for _ in 0..lost {
        latencies.lost(Duration::from_secs(1));
    }
    latencies
}

#[test]
fn ratio_compares_the_medians_of_the_rounds() {
    let (without, with) = (rounds([1, 2, 50], 400), rounds([8, 8, 900], 400));
    let ratio = ratio(&without, &with).unwrap();
    assert!((ratio - 4.0).abs() < 0.1, "{ratio}");
}

#[test]
fn too_few_requests_have_no_ratio() {
    let few = rounds([1, 1, 1], MIN_SAMPLES_FOR_P99 / 3 - 1);
    let enough = rounds([9, 9, 9], MIN_SAMPLES_FOR_P99 / 3 + 1);
    assert!(ratio(&few, &enough).is_none());
    assert!(ratio(&enough, &few).is_none());
    assert!(ratio(&enough, &enough).is_some());
}

#[test]
fn high_ratio_is_a_failure() {
    let failures = |ratio| judge("a", Protocol::Tcp, ratio, &with_losses(3, 0), &ACTIVE).len();
    assert_eq!(failures(None), 0);
    assert_eq!(failures(Some(MAX_RATIO)), 0);
    assert_eq!(failures(Some(MAX_RATIO + 0.1)), 1);
}

#[test]
fn each_loss_over_tcp_is_a_failure() {
    let failures = |lost| judge("a", Protocol::Tcp, None, &with_losses(3, lost), &ACTIVE).len();
    assert_eq!(failures(0), 0);
    assert_eq!(failures(1), 1);
}

#[test]
fn loss_over_udp_has_a_limit() {
    let failures = |requests, lost| {
        judge("a", Protocol::Udp, None, &with_losses(requests, lost), &ACTIVE).len()
    };
    assert_eq!(failures(3000, 0), 0);
    assert_eq!(failures(3000, 14), 0);
    assert_eq!(failures(3000, 16), 1);
    // One of 100 requests is 1 %, but a short test cannot measure such a small part.
    assert_eq!(failures(99, 1), 0);
    assert_eq!(failures(0, 99), 1);
}

#[test]
fn wrong_reply_and_attacker_without_effect_are_failures() {
    let mut latencies = with_losses(3, 0);
    latencies.wrong();
    assert_eq!(judge("a", Protocol::Udp, None, &latencies, &ACTIVE).len(), 1);
    let idle = AttackCounts::default();
    assert_eq!(judge("a", Protocol::Udp, None, &with_losses(3, 0), &idle).len(), 1);
}

#[test]
fn kernel_memory_beyond_its_limit_is_a_failure() {
    assert_eq!(judge_memory("a", MIB + 1, None), None);
    assert_eq!(judge_memory("a", MIB, Some(MIB)), None);
    assert!(judge_memory("a", MIB + 1, Some(MIB)).is_some());
}

/// Returns the attack with this name.
fn attack(name: &str) -> &'static Attack {
    ATTACKS.iter().find(|attack| attack.name == name).unwrap()
}

#[test]
fn attack_with_few_datagrams_is_a_failure() {
    let attack = attack("udp-expensive-text");
    let rate = u64::from(attack.planned_rate().unwrap());
    let failures = |percent| {
        let requests = rate * 2 * percent / 100;
        let counts = AttackCounts { requests, milliseconds: 2000, ..AttackCounts::default() };
        judge_activity(attack, &counts, 3).is_some()
    };
    assert!(!failures(100));
    assert!(!failures(MIN_SENT_PERCENT));
    assert!(failures(MIN_SENT_PERCENT - 1));
    assert!(failures(0));
}

#[test]
fn missing_connection_of_an_attack_is_a_failure() {
    let attack = attack("tcp-expensive-text");
    let failures = |opened| {
        let counts = AttackCounts { opened, milliseconds: 2000, ..AttackCounts::default() };
        judge_activity(attack, &counts, 3).is_some()
    };
    assert!(!failures(3 * 256));
    assert!(failures(3 * 256 - 1));
}

#[test]
fn cpu_time_of_waiting_connections_has_a_limit() {
    let resources = |percent: u64| Resources::with_cpu(Duration::from_millis(10 * percent));
    let attack = attack("tcp-rate-limited");
    assert_eq!(judge_cpu(attack, &resources(4), &resources(4)), None);
    assert!(judge_cpu(attack, &resources(4), &resources(50)).is_some());
    let unlimited = self::attack("tcp-expensive-text");
    assert_eq!(judge_cpu(unlimited, &resources(4), &resources(50)), None);
}
