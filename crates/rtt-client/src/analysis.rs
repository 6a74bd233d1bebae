//! Conclusions from measurements (pure: no I/O, no clock): the statistics of a run, the verdict of a comparison and
//! the explanation of a diagnosis.
//!
//! | module | question |
//! |---|---|
//! | [`comparison`] | Which of two targets has the higher RTT, by how much, with what confidence, and why? |
//! | [`evidence`] | What did a comparison measure? |
//! | [`diagnosis`] | What does the result of a probe mean, what is not certain, and what is the next step? |
//!
//! The results are data. A [`report`](crate::report) formats them.
//!
//! ```
//! use rtt_client::Distribution;
//! use std::time::Duration;
//!
//! let mut rtt = Distribution::default();
//! for microseconds in [110, 120, 90] {
//!     rtt.add(Duration::from_micros(microseconds));
//! }
//! assert_eq!(rtt.min(), Some(Duration::from_micros(90)));
//! assert_eq!(rtt.max(), Some(Duration::from_micros(120)));
//!
//! // Three values do not support the 99.9th percentile.
//! assert_eq!(rtt.supported_quantile(rtt_client::Quantile::P999), None);
//! ```

pub(crate) mod accounting;
pub mod comparison;
pub(crate) mod delay_variation;
pub mod diagnosis;
pub mod evidence;
pub(crate) mod explain;
pub(crate) mod loss_attribution;
pub(crate) mod loss_pattern;
pub(crate) mod number_set;
pub(crate) mod outages;
pub(crate) mod recognition;
pub(crate) mod request_tracker;
pub(crate) mod schedule;
pub(crate) mod statistics;
