//! [`Plan`]: what is to be measured, validated and from then on unchanged.

use crate::{Protocol, Target};
use bytes::{Bytes, BytesMut};
use std::time::Duration;

/// How long a reply can be waited for at most: an hour is beyond any path's round trip, and a clock
/// reading plus it can't overflow.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(1);

/// Which version of IP to use, where the user wants one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

/// One exchange with one target.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) protocol: &'static Protocol,
    pub(crate) target: Target,
    pub(crate) family: Option<Family>,
    pub(crate) timeout: Duration,
    pub(crate) request: Bytes,
    /// What the reply must be.
    pub(crate) expected: Bytes,
}

/// Why something can't be measured as asked. Each is told to the user in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The target is a URL of another protocol.
    #[error("{target} is a target for `rtt-client {theirs}`, not for `{ours}`")]
    OtherProtocol {
        /// The target as given.
        target: Target,
        /// The protocol in it.
        theirs: &'static str,
        /// The protocol asked for.
        ours: &'static str,
    },
    /// The message, or its upper case, is longer than one exchange can carry.
    #[error(
        "the message's {what} has {length} bytes, and one exchange over {protocol} carries {longest}"
    )]
    TooLong {
        /// `request` or `reply`.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The protocol's title.
        protocol: &'static str,
        /// The longest there is, in bytes.
        longest: usize,
    },
    /// Nothing would be sent.
    #[error("an empty message sends nothing over {0}, so no reply can come")]
    Empty(&'static str),
    /// The time-out is zero, or absurd.
    #[error("a time-out must be above 0 and no more than an hour")]
    Timeout,
}

impl Plan {
    /// A plan for one exchange of `message` with `target`, waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// What the protocol can't carry, or makes no sense.
    pub fn new(
        protocol: &'static Protocol,
        target: Target,
        family: Option<Family>,
        timeout: Duration,
        message: impl Into<Bytes>,
    ) -> Result<Self, PlanError> {
        if let Some(theirs) = target.protocol
            && theirs != protocol
        {
            return Err(PlanError::OtherProtocol {
                target,
                theirs: theirs.name,
                ours: protocol.name,
            });
        }
        if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
            return Err(PlanError::Timeout);
        }
        let request = message.into();
        let mut expected = BytesMut::from(&request[..]);
        echo_core::uppercase(&mut expected);
        let expected = expected.freeze();
        if request.is_empty() && !protocol.carries_empty {
            return Err(PlanError::Empty(protocol.title));
        }
        for (what, length) in [("request", request.len()), ("reply", expected.len())] {
            if length > protocol.longest {
                let (protocol, longest) = (protocol.title, protocol.longest);
                return Err(PlanError::TooLong { what, length, protocol, longest });
            }
        }
        Ok(Self { protocol, target, family, timeout, request, expected })
    }

    pub(crate) fn port(&self) -> u16 {
        self.target.port.unwrap_or(self.protocol.default_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol_named;

    fn plan(protocol: &str, target: &str, seconds: u64, message: &str) -> Result<Plan, PlanError> {
        let protocol = protocol_named(protocol).unwrap();
        let timeout = Duration::from_secs(seconds);
        Plan::new(protocol, target.parse().unwrap(), None, timeout, message.to_owned())
    }

    #[test]
    fn a_missing_port_is_the_protocols() {
        assert_eq!(plan("udp", "host", 2, "x").unwrap().port(), 25000);
        assert_eq!(plan("tcp", "host", 2, "x").unwrap().port(), 12000);
        assert_eq!(plan("tcp", "tcp://host:7", 2, "x").unwrap().port(), 7);
    }

    #[test]
    fn the_reply_is_known_before_it_is_asked_for() {
        assert_eq!(plan("udp", "host", 2, "straße").unwrap().expected, "STRASSE");
    }

    #[test]
    fn what_cant_be_carried_is_refused() {
        let error = plan("udp", "host", 2, &"x".repeat(65_508)).unwrap_err();
        assert!(matches!(error, PlanError::TooLong { what: "request", .. }), "{error}");
        // Two bytes become six.
        let error = plan("udp", "host", 2, &"ΐ".repeat(21_836)).unwrap_err();
        assert!(matches!(error, PlanError::TooLong { what: "reply", .. }), "{error}");
        assert!(plan("udp", "host", 2, "").is_ok());
        assert_eq!(plan("tcp", "host", 2, "").unwrap_err(), PlanError::Empty("TCP"));
        assert_eq!(plan("udp", "host", 0, "x").unwrap_err(), PlanError::Timeout);
        assert_eq!(plan("udp", "host", 3601, "x").unwrap_err(), PlanError::Timeout);
        let error = plan("udp", "tcp://host", 2, "x").unwrap_err();
        assert!(matches!(error, PlanError::OtherProtocol { theirs: "tcp", .. }), "{error}");
    }
}
