//! [`Opening`]: one look-up of the name, and one attempt to open a channel.

use super::background::OpenWhen;
use super::{Open, failed_attempt};
use crate::model::address_change::AddressChangeReason;
use crate::net::failure::failure_from_resolve_error;
use crate::net::resolve::{AddressChoice, LookUpLimits, NameResolver};
use crate::net::transport::{OpenAttempt, OpenConfig};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The parameters of an attempt to open a channel. Another thread can run the attempt.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) open: Open,
    /// The measured address.
    pub(super) address: Option<SocketAddr>,
    /// Without a resolver, there is no look-up.
    pub(super) resolver: Option<NameResolver>,
    pub(super) choice: AddressChoice,
    /// The longest wait for the look-up.
    pub(super) look_up_timeout: Duration,
    pub(super) when: OpenWhen,
}

/// An attempt to open a channel to an address of the target.
pub(in crate::engine::series) struct PeerAttempt {
    /// The address. `None` if the look-up failed, and there was no address before.
    pub(in crate::engine::series) address: Option<SocketAddr>,
    /// The reason, if this is another address than the measured one.
    pub(in crate::engine::series) reason: AddressChangeReason,
    pub(in crate::engine::series) attempt: OpenAttempt,
}

/// The resolver of an [`Opening`], and the attempt if there was one.
pub(super) type OpeningResult = (Option<NameResolver>, Option<PeerAttempt>);

impl PeerAttempt {
    /// The local address of the channel, if it is open.
    pub(in crate::engine::series) fn local(&self) -> Option<SocketAddr> {
        self.attempt.transport.as_ref().ok()?.local()
    }

    /// An attempt with the measured address.
    pub(super) fn to_same_address(address: Option<SocketAddr>, attempt: OpenAttempt) -> Self {
        Self { address, reason: AddressChangeReason::NameChanged, attempt }
    }
}

impl Opening {
    /// Looks up the name, and opens a channel. If the look-up fails, opens a channel to the measured address.
    pub(super) fn run(mut self, config: OpenConfig<'_>) -> OpeningResult {
        let start = Instant::now();
        let mut reason = AddressChangeReason::NameChanged;
        let mut error = None;
        let mut address = self.address;
        if let Some(resolver) = &mut self.resolver {
            let limits = LookUpLimits { timeout: self.look_up_timeout, stop: config.stop };
            match resolver.address(self.address, self.choice, limits) {
                Ok(selected) => {
                    address = Some(selected.address);
                    if selected.name_has_current {
                        reason = AddressChangeReason::NoReply;
                    }
                }
                Err(failed) => error = Some((failed, resolver.version_option())),
            }
        }
        if self.when == OpenWhen::NameChanged && address == self.address {
            return (self.resolver, None);
        }
        let attempt = match (address, error) {
            (Some(address), _) => Some((self.open)(address, config).unwrap_or_else(failed_attempt)),
            (None, Some((error, version))) => {
                let failure = failure_from_resolve_error(&error, version, start.elapsed());
                Some(OpenAttempt { connection: None, transport: Err(failure) })
            }
            // There is neither an address nor a name.
            (None, None) => None,
        };
        let attempt = attempt.map(|attempt| PeerAttempt { address, reason, attempt });
        (self.resolver, attempt)
    }
}
