//! The hop limit (TTL) of received packets, and the distance that it indicates.
//!
//! Each router decreases the hop limit of a packet by 1. The receiver sees only the remaining value. It has to assume
//! the initial value. Linux and macOS use 64, Windows uses 128, and many routers use 255.

use crate::model::format::counted;
use std::fmt;

/// The usual initial hop limits, in ascending order.
const USUAL_INITIAL_VALUES: [u8; 3] = [64, 128, u8::MAX];

/// The hop limits of the replies of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTtl {
    min: u8,
    max: u8,
}

/// The distance that a hop limit indicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distance {
    /// The number of routers that decreased the hop limit.
    pub hops: u8,
    /// The assumed initial hop limit: the smallest usual value that is not below the received value.
    pub assumed_initial: u8,
}

impl From<u8> for ReplyTtl {
    fn from(ttl: u8) -> Self {
        Self { min: ttl, max: ttl }
    }
}

impl ReplyTtl {
    /// The hop limits of earlier replies and of one further reply.
    pub(crate) fn with(earlier: Option<Self>, ttl: u8) -> Self {
        let earlier = earlier.unwrap_or(ttl.into());
        Self { min: earlier.min.min(ttl), max: earlier.max.max(ttl) }
    }

    /// The smallest hop limit.
    #[must_use]
    pub fn min(self) -> u8 {
        self.min
    }

    /// The largest hop limit.
    #[must_use]
    pub fn max(self) -> u8 {
        self.max
    }

    /// The distance on the way back. Absent if the hop limits differ, because there is then no single distance.
    #[must_use]
    pub fn distance(self) -> Option<Distance> {
        if self.min != self.max {
            return None;
        }
        let received = self.min;
        let assumed_initial =
            USUAL_INITIAL_VALUES.into_iter().find(|initial| *initial >= received)?;
        Some(Distance { hops: assumed_initial - received, assumed_initial })
    }

    /// The hop limit, or the smallest and the largest one: `58 to 61`.
    pub(crate) fn range(self) -> String {
        if self.min == self.max {
            self.min.to_string()
        } else {
            format!("{} to {}", self.min, self.max)
        }
    }
}

/// The meaning for people, in parentheses: `(3 routers on the way back, if it started at 64)`.
impl fmt::Display for ReplyTtl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.distance() {
            None => f.write_str("(the TTL changed; the replies probably took different paths)"),
            Some(Distance { hops, assumed_initial }) => {
                let routers = match hops {
                    0 => "no router".to_owned(),
                    hops => counted(hops.into(), "router", "routers"),
                };
                write!(f, "({routers} on the way back, if it started at {assumed_initial})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_assumes_the_smallest_usual_initial_value() {
        for (received, hops, initial) in
            [(64, 0, 64), (61, 3, 64), (63, 1, 64), (65, 63, 128), (117, 11, 128), (244, 11, 255)]
        {
            let distance = Distance { hops, assumed_initial: initial };
            assert_eq!(ReplyTtl::from(received).distance(), Some(distance));
        }
        let text = ReplyTtl::from(61).to_string();
        assert_eq!(text, "(3 routers on the way back, if it started at 64)");
        assert!(ReplyTtl::from(63).to_string().contains("(1 router on the way back"));
        assert!(ReplyTtl::from(64).to_string().contains("no router on the way back"));
    }

    #[test]
    fn different_hop_limits_have_no_single_distance() {
        let first = ReplyTtl::with(None, 61);
        let ttl = ReplyTtl::with(Some(ReplyTtl::with(Some(first), 58)), 60);
        assert_eq!((ttl.min(), ttl.max(), ttl.distance()), (58, 61, None));
        assert_eq!(ttl.range(), "58 to 61");
        assert!(ttl.to_string().contains("different paths"), "{ttl}");
    }
}
