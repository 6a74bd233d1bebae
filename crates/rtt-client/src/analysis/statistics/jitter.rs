//! [`Jitter`]: the variation of consecutive RTTs.

use crate::model::format::nanoseconds;
use std::time::Duration;

/// The interarrival jitter of RFC 3550, section 6.4.1, applied to round-trip times. The estimate is a smoothed
/// average of the differences between consecutive RTTs. Each new difference has a weight of one sixteenth.
#[derive(Debug, Default)]
pub struct Jitter {
    last: Option<Duration>,
    /// In nanoseconds. Absent before the second RTT.
    estimate: Option<f64>,
}

impl Jitter {
    /// Adds the next RTT, in the order of arrival.
    pub fn add(&mut self, rtt: Duration) {
        if let Some(last) = self.last.replace(rtt) {
            #[expect(clippy::cast_precision_loss, reason = "53 bits of nanoseconds are 104 days")]
            let difference = nanoseconds(rtt.abs_diff(last)) as f64;
            let estimate = self.estimate.unwrap_or(0.0);
            self.estimate = Some(estimate + (difference - estimate) / 16.0);
        }
    }

    /// The estimate. Absent with fewer than two RTTs.
    #[must_use]
    pub fn estimate(&self) -> Option<Duration> {
        self.estimate.map(|nanoseconds| Duration::from_secs_f64(nanoseconds / 1e9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_follows_rfc_3550() {
        let mut jitter = Jitter::default();
        jitter.add(Duration::from_micros(100));
        assert_eq!(jitter.estimate(), None);
        jitter.add(Duration::from_micros(116));
        assert_eq!(jitter.estimate(), Some(Duration::from_micros(1)));
        jitter.add(Duration::from_micros(99));
        assert_eq!(jitter.estimate(), Some(Duration::from_micros(2)));
    }
}
