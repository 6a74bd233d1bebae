//! The parts of the UDP transport that need one operating system.

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "system/linux/mod.rs"]
mod imp;

#[cfg(not(all(target_os = "linux", not(portable))))]
#[path = "system/portable.rs"]
mod imp;

pub(super) use imp::{OtherSources, checksum_errors};
