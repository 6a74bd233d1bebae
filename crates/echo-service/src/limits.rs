//! Limits for sources, and the log fields that show limits.

use std::net::IpAddr;
use std::num::NonZero;
use std::time::Duration;
use tracing::Value;

/// The value of a log field if there is no limit.
const UNLIMITED: &str = "unlimited";

/// A limit that applies to each source. It contains the default if the user chose no limit.
///
/// ```
/// use echo_service::SourceLimit;
/// use std::num::NonZero;
///
/// let limit = SourceLimit::resolve(None, NonZero::new(256).unwrap());
/// assert_eq!(limit.for_address("192.0.2.1".parse().unwrap()), NonZero::new(256));
/// assert_eq!(limit.for_address("127.0.0.1".parse().unwrap()), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLimit {
    /// The limit for a source on another host. `None`: no limit.
    pub other_hosts: Option<NonZero<u64>>,
    /// The limit for a loopback address. `None`: no limit.
    pub loopback: Option<NonZero<u64>>,
}

impl SourceLimit {
    /// Returns the limit for the value of a command-line option. 0 means "no limit".
    ///
    /// Without a value, the limit of other hosts is `default`. A packet with a loopback address cannot come
    /// from another host (RFC 1122, section 3.2.1.3), so loopback addresses need no limit by default.
    #[must_use]
    pub fn resolve(requested: Option<u64>, default: NonZero<u64>) -> Self {
        match requested {
            None => Self { other_hosts: Some(default), loopback: None },
            Some(limit) => Self { other_hosts: NonZero::new(limit), loopback: NonZero::new(limit) },
        }
    }

    /// The limit that applies to `address`. `None`: no limit.
    #[must_use]
    pub fn for_address(self, address: IpAddr) -> Option<NonZero<u64>> {
        if address.is_loopback() { self.loopback } else { self.other_hosts }
    }
}

/// Formats a limit as the value of a log field: a number, or `unlimited`.
#[must_use]
pub fn limit_field(limit: Option<NonZero<u64>>) -> Box<dyn Value> {
    match limit {
        Some(limit) => Box::new(limit.get()),
        None => Box::new(tracing::field::display(UNLIMITED)),
    }
}

/// Formats a time limit as the value of a log field: a number of seconds, or `unlimited` for zero.
#[must_use]
pub fn duration_field(limit: Duration) -> Box<dyn Value> {
    if limit.subsec_nanos() == 0 {
        limit_field(NonZero::new(limit.as_secs()))
    } else {
        Box::new(limit.as_secs_f64())
    }
}

/// Logs the start of a server with all active limits. Each limit is a named field of one event.
///
/// The first argument is a reference to the [`ServiceArgs`](crate::ServiceArgs). The other arguments are fields
/// of this server only. [`limit_field`] and [`duration_field`] format their values.
///
/// ```
/// # use std::time::Duration;
/// let args = echo_service::ServiceArgs::default();
/// echo_service::log_limits!(&args, idle_s = echo_service::duration_field(Duration::from_secs(300)));
/// ```
#[macro_export]
macro_rules! log_limits {
    ($args:expr $(, $field:ident = $value:expr)* $(,)?) => {{
        let args: &$crate::ServiceArgs = $args;
        let rate = $crate::RateLimit::resolve(args.rate);
        $crate::tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            workers = args.workers.get(),
            allow = %args.allowed_networks(),
            rate_per_source = $crate::limit_field(rate.other_hosts),
            rate_per_loopback_source = $crate::limit_field(rate.loopback),
            busy_poll_us = args.busy_poll_us(),
            $($field = $value,)*
            "serving"
        );
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: NonZero<u64> = NonZero::new(10_000).unwrap();
    const REMOTE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn only_an_explicit_limit_applies_to_loopback_addresses() {
        for (requested, remote, loopback) in
            [(None, 10_000, 0), (Some(5), 5, 5), (Some(0), 0, 0), (Some(20_000), 20_000, 20_000)]
        {
            let limit = SourceLimit::resolve(requested, DEFAULT);
            assert_eq!(limit.for_address(REMOTE), NonZero::new(remote), "{requested:?}");
            assert_eq!(limit.for_address(LOOPBACK), NonZero::new(loopback), "{requested:?}");
        }
    }
}
