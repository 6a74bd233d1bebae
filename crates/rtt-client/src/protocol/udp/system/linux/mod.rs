//! UDP on Linux.

mod other_sources;

pub(in crate::protocol::udp) use other_sources::OtherSources;
