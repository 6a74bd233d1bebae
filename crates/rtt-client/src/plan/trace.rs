//! [`TracePlan`]: exchanges to capture.

use super::{Content, DEFAULT_HOST, MAX_WAIT, Plan, PlanError, Settings, check_max_duration};
use crate::model::protocol::Protocol;
use crate::model::target::Target;
use crate::protocol::registry::protocols_of;
use std::time::Duration;

/// The largest number of exchanges with each target. A longer diagram is not readable.
const MAX_EXCHANGES: u64 = 1000;

/// The message if no size is given.
const MESSAGE: &str = "hello, world";

/// Everything that a caller can choose for a trace, except the targets.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The settings of each exchange. The trace sets the content, count, duration and rate itself; these values
    /// are ignored.
    pub each: Settings,
    /// The number of exchanges with each target.
    pub count: u64,
    /// The size of each request in bytes. Without a size, requests contain a short message.
    pub size: Option<usize>,
}

/// Exchanges to capture.
#[derive(Debug, Clone)]
pub struct TracePlan {
    /// One plan for each target and protocol.
    pub(crate) plans: Vec<Plan>,
    /// The number of exchanges of each plan.
    pub(crate) count: u64,
}

impl TracePlan {
    /// Creates a plan for exchanges with each of `targets`. A target without a protocol is traced over every protocol
    /// with a server program whose packets can be captured. If `targets` is empty, the exchanges are with this host.
    ///
    /// # Errors
    ///
    /// If a protocol cannot carry the messages, if the client cannot capture its packets, or if a setting is out of range.
    pub fn new(targets: &[Target], settings: &TraceSettings) -> Result<Self, PlanError> {
        let TraceSettings { ref each, count, size } = *settings;
        if count == 0 || count > MAX_EXCHANGES {
            return Err(PlanError::CountOutOfRange { quantity: "--count", max: MAX_EXCHANGES });
        }
        // Limit the total duration of the pauses.
        let pauses = u32::try_from(count).ok().and_then(|count| each.interval.checked_mul(count));
        let pauses = pauses.unwrap_or(Duration::MAX);
        check_max_duration("--count times --interval", pauses, MAX_WAIT)?;
        let content = match (size, count) {
            (Some(_), _) => Content::Sized(size),
            (None, 1) => Content::Message(MESSAGE.into()),
            (None, _) => Content::Numbered(MESSAGE.into()),
        };
        let each = Settings { content, count: None, duration: None, rate: None, ..each.clone() };
        let this_host = Target { protocol: None, host: DEFAULT_HOST.into(), port: None };
        let targets = if targets.is_empty() { std::slice::from_ref(&this_host) } else { targets };
        let selected: Vec<(&Target, &Protocol)> = targets
            .iter()
            .flat_map(|target| protocols_of(target).map(move |protocol| (target, protocol)))
            .filter(|(target, protocol)| target.protocol.is_some() || protocol.ip_numbers.is_some())
            .collect();
        let protocols: Vec<&Protocol> = selected.iter().map(|(_, protocol)| *protocol).collect();
        let plans = selected.into_iter().map(|(target, protocol)| {
            check_capture(protocol)?;
            Plan::new(protocol, target.clone(), each.applicable_to(protocol, &protocols))
        });
        Ok(Self { plans: plans.collect::<Result<_, _>>()?, count })
    }
}

/// Checks that the client can capture and dissect the packets of the protocol.
fn check_capture(protocol: &Protocol) -> Result<(), PlanError> {
    match protocol.ip_numbers {
        Some(_) => Ok(()),
        None => Err(PlanError::NotCaptured { protocol: protocol.title }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::protocol::{EXAMPLE, IpNumbers};

    #[test]
    fn protocol_without_ip_numbers_cannot_be_traced() {
        static CAPTURED: Protocol =
            Protocol { ip_numbers: Some(IpNumbers { v4: 253, v6: 253 }), ..EXAMPLE };
        assert_eq!(check_capture(&CAPTURED), Ok(()));
        let error = check_capture(&EXAMPLE).unwrap_err();
        let expected = "cannot trace Example: the client cannot capture and explain its packets";
        assert_eq!(error.to_string(), expected);
    }
}
