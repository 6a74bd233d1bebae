//! The soak test on systems other than Linux: an error.

use anyhow::{Result, bail};
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) fn run(_duration: Duration) -> Result<()> {
    bail!("the soak test needs Linux, for its many loopback addresses and for /proc");
}

pub(crate) fn run_attacker(_name: &str, _server: SocketAddr, _duration: Duration) -> Result<()> {
    bail!("the attackers of the soak test need Linux");
}
