//! Tests of the rate limit, with simulated time.

use super::*;
use std::net::Ipv4Addr;

const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const GREEDY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn source_can_send_a_burst_of_one_second_and_then_its_steady_rate() {
    let limit = RateLimit::new(Some(100));
    let now = limit.start + SECOND;
    assert_eq!(limit.take(GREEDY, 1000, 1, now), 100);
    assert_eq!(limit.take(GREEDY, 1, 1, now), 0);
    assert_eq!(limit.take(GREEDY, 1000, 1, now + SECOND / 2), 50);
    assert_eq!(limit.take(HONEST, 1, 1, now), 1, "another source is not affected");
    assert_eq!(limit.take(GREEDY, 1000, 1, now + 10 * SECOND), 100, "a burst after a pause");
}

#[test]
fn steady_rate_is_the_requested_rate() {
    for rate in [1, 3, 1000, 999_999] {
        let limit = RateLimit::new(Some(rate));
        let mut granted = 0;
        for step in 0..=100_000_u32 {
            granted += limit.take(GREEDY, 1000, 1, limit.start + SECOND * step / 10_000);
        }
        // The full bucket permits a burst of one second of requests. Ten seconds follow.
        let expected = u64::from(rate) * 11;
        assert!(granted.abs_diff(expected) <= 1 + expected / 10_000, "{rate}: {granted}");
    }
}

#[test]
fn steady_rate_of_long_requests_is_lower_by_their_units() {
    for (rate, units) in [(1000, 10), (100, 45), (1, 45)] {
        let limit = RateLimit::new(Some(rate));
        let mut granted = 0;
        for step in 0..=100_000_u32 {
            granted += limit.take(GREEDY, 3, units, limit.start + SECOND * step / 1000);
        }
        // 100 seconds follow the full bucket. The last request can put the source into debt.
        let expected = u64::from(rate) * 101 / units;
        assert!(granted.abs_diff(expected) <= 1, "{rate}: {granted} of {expected}");
    }
}

#[test]
fn wait_time_ends_when_the_next_token_is_available() {
    let limit = RateLimit::new(Some(10));
    let now = limit.start + SECOND;
    assert_eq!(limit.wait_time(GREEDY, now), Duration::ZERO);
    assert_eq!(limit.take(GREEDY, 10, 1, now), 10);
    let wait = limit.wait_time(GREEDY, now);
    assert_eq!(wait, SECOND / 10);
    assert!(limit.is_exhausted(GREEDY, now + wait.saturating_sub(Duration::from_nanos(1))));
    assert!(!limit.is_exhausted(GREEDY, now + wait));
}

#[test]
fn work_that_is_already_done_delays_the_next_request() {
    let limit = RateLimit::new(Some(10));
    let now = limit.start + SECOND;
    limit.charge(GREEDY, 30, now);
    assert_eq!(limit.wait_time(GREEDY, now), SECOND * 21 / 10);
    assert_eq!(limit.take(GREEDY, 1, 1, now + 2 * SECOND), 0);
    assert_eq!(limit.take(GREEDY, 9, 1, now + 3 * SECOND), 9);
}

#[test]
fn one_million_forged_sources_do_not_affect_an_honest_source() {
    let limit = RateLimit::new(Some(1000));
    let now = limit.start + SECOND;
    for number in 0..1_000_000 {
        assert_eq!(limit.take(forged(number), 1, 1, now), 1);
    }
    assert_eq!(limit.take(HONEST, 900, 1, now), 900);
}

/// The units per second of all sources for which the documentation states the refused fraction.
const FLOOD: u32 = 100_000;

/// The part of these units that honest sources send.
const HONEST_UNITS: u32 = 20_000;

#[test]
fn flood_from_forged_sources_refuses_few_requests_at_any_rate() {
    for rate in [1, 2, 3, 4, 10, 99, 100, 1000, 10_000] {
        let refused = refused_fraction(rate, FLOOD);
        let size = table_size(u64::from(rate));
        let bound = formula(rate, FLOOD, size);
        assert!(bound <= 1.0 / 750.0, "--rate {rate}: {bound}");
        if rate >= 2 {
            assert!(bound < 1.0 / 4000.0, "--rate {rate}: {bound}");
        }
        // The simulation has a limited number of requests. The second term allows for its random error.
        assert!(refused <= bound * 1.2 + 0.0003, "--rate {rate}: {refused}, bound {bound}");
    }
}

#[test]
fn refused_fraction_of_a_large_flood_agrees_with_the_formula() {
    let flood = 4 * FLOOD;
    let (refused, bound) = (refused_fraction(1, flood), formula(1, flood, LARGE_TABLE));
    // At this load, two forged sources often have the same bucket. So the formula is an upper bound, and the
    // exact probability is smaller: a bucket is in use with the probability 1 - exp(-F / B). A refused request takes
    // no tokens, so the simulation refuses slightly less.
    let exact = (1.0 - (-f64::from(flood) / 524_288.0).exp()).powi(4);
    assert!((refused - exact).abs() < 0.35 * exact, "{refused}, expected {exact}");
    assert!(refused < bound, "{refused}, bound {bound}");
}

/// The probability in the documentation of the module.
fn formula(rate: u32, flood: u32, TableSize { rows, buckets }: TableSize) -> f64 {
    let buckets = f64::from(u32::try_from(buckets).unwrap());
    (f64::from(flood) / (buckets * f64::from(rate))).powi(i32::try_from(rows).unwrap())
}

/// Simulates `units` per second, from forged sources and from honest sources. An honest source sends all requests that
/// its limit permits, in a burst, and then pauses for slightly more than a second. Returns the refused fraction of the
/// honest requests.
fn refused_fraction(rate: u32, units: u32) -> f64 {
    let limit = RateLimit::new(Some(rate));
    let sources = HONEST_UNITS / rate;
    let flood = units - HONEST_UNITS;
    let step = SECOND / flood;
    let (mut sent, mut granted) = (0_u64, 0);
    // The first second fills the table with forged units.
    for tick in 0..3 * flood {
        let now = limit.start + step * tick;
        // A collision can refuse a forged request too.
        let _ = limit.take(forged(tick), 1, 1, now);
        let period = flood + flood / 100;
        if tick >= flood && tick % period < sources {
            let source = Ipv4Addr::from_bits(0xC633_6400 + tick % period).into();
            sent += u64::from(rate);
            granted += limit.take(source, u64::from(rate), 1, now);
        }
    }
    let (sent, refused) = (u32::try_from(sent).unwrap(), u32::try_from(sent - granted).unwrap());
    f64::from(refused) / f64::from(sent)
}

fn forged(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0A00_0000 + number).into()
}

#[test]
fn only_an_explicit_limit_applies_to_loopback_addresses() {
    let loopback = Ipv4Addr::LOCALHOST.into();
    let limit = RateLimit::new(None);
    assert_eq!(limit.take(loopback, 1 << 40, 1, limit.start), 1 << 40);
    assert_eq!(limit.take(GREEDY, 1 << 40, 1, limit.start), 10_000);
    assert_eq!(limit.wait_time(loopback, limit.start), Duration::ZERO);
    assert_eq!(RateLimit::new(Some(5)).take(loopback, 9, 1, Instant::now()), 5);
    assert_eq!(RateLimit::new(Some(0)).take(GREEDY, 1 << 40, 1, Instant::now()), 1 << 40);
}
