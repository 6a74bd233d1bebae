//! Finds out how the requests were sent, from the connection's statistics and from the timestamps of the requests.

use crate::analysis::evidence::Side;

/// Whether requests waited for an acknowledgement before they left this host. Such a wait takes at least one round
/// trip. Absent if it was not measured.
pub(crate) fn waited_for_acknowledgement(side: &Side) -> Option<bool> {
    if !side.protocol.is_reliable {
        return Some(false);
    }
    let (send, windows) = (side.with_timestamps.as_ref()?.breakdown.send.median()?, side.windows?);
    // `send` ends when the last segment leaves. With several segments, this moment is late even without a wait,
    // because the kernel first copies the other segments. Therefore only a request in one segment shows whether it
    // waited.
    let is_one_segment = side.request_bytes <= usize::try_from(windows.segment_bytes).ok()?;
    is_one_segment.then_some(send >= windows.min_rtt?)
}

/// Whether a request is longer than the smallest observed congestion window. Absent if the window was not measured.
pub(crate) fn exceeded_congestion_window(side: &Side) -> Option<bool> {
    let windows = side.windows?;
    let window = u64::from(windows.min_congestion_window) * u64::from(windows.segment_bytes);
    Some(side.request_bytes as u64 > window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::evidence::Windows;
    use crate::analysis::statistics::Summary;
    use crate::model::breakdown::{Breakdown, NetworkAndServer};
    use crate::protocol::registry::protocol_named;
    use std::time::Duration;

    /// A side whose requests leave this host after `send` µs. Its fastest round trip takes 50 µs.
    fn side(protocol: &str, send: u64, request_bytes: usize) -> Side {
        let mut with_timestamps = Summary::default();
        with_timestamps.breakdown.add(&Breakdown {
            send: Duration::from_micros(send),
            network_and_server: NetworkAndServer::Separate {
                limit: Duration::ZERO,
                network: Duration::from_micros(50),
                server: Duration::from_micros(5),
            },
            receive: Duration::from_micros(5),
        });
        let windows = Windows {
            min_congestion_window: 10,
            segment_bytes: 1460,
            limited_by_peer: Duration::ZERO,
            limited_by_buffer: Duration::ZERO,
            min_rtt: Some(Duration::from_micros(50)),
        };
        Side {
            request_bytes,
            with_timestamps: Some(with_timestamps),
            windows: Some(windows),
            ..Side::new(protocol_named(protocol).unwrap(), "h:1")
        }
    }

    #[test]
    fn request_waits_for_an_acknowledgement_if_it_leaves_after_a_round_trip() {
        for (protocol, send, request_bytes, waited) in [
            ("tcp", 49, 1460, Some(false)),
            ("tcp", 50, 1460, Some(true)),
            // A request in several segments does not show it.
            ("tcp", 50, 1461, None),
            // A protocol without acknowledgements never waits for one.
            ("udp", 50, 1460, Some(false)),
        ] {
            let side = side(protocol, send, request_bytes);
            assert_eq!(waited_for_acknowledgement(&side), waited, "{side:?}");
        }
        let without_windows = Side { windows: None, ..side("tcp", 50, 64) };
        assert_eq!(waited_for_acknowledgement(&without_windows), None);
    }

    #[test]
    fn congestion_window_is_exceeded_by_one_byte_more() {
        assert_eq!(exceeded_congestion_window(&side("tcp", 1, 14_600)), Some(false));
        assert_eq!(exceeded_congestion_window(&side("tcp", 1, 14_601)), Some(true));
    }
}
