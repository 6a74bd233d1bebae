//! UDP on Linux.

mod checksum_errors;
mod other_sources;

pub(in crate::protocol::udp) use checksum_errors::checksum_errors;
pub(in crate::protocol::udp) use other_sources::OtherSources;
