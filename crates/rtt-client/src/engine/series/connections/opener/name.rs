//! [`Name`]: the name of the target, and when the client looks it up again.

use crate::net::resolve::NameResolver;
use std::time::{Duration, Instant};

/// The minimum time between two look-ups of a name that has an address. If a channel is opened earlier, the next
/// look-up checks its address. So a series with many connections does not send a query for each of them, and it does
/// not pause before each exchange. After such a pause, an exchange takes longer, because the CPUs of both hosts have
/// become idle.
const MIN_LOOK_UP_PAUSE: Duration = Duration::from_millis(100);

/// The name of the target.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) host: String,
    /// `None` while another thread looks up the name.
    resolver: Option<NameResolver>,
    /// The start of the last look-up. `None` if the next one is due.
    pub(super) last_look_up: Option<Instant>,
    /// Whether the last channel was opened without a look-up.
    pub(super) look_up_is_missing: bool,
}

impl Name {
    /// The name of `resolver`, after a look-up.
    pub(super) fn new(resolver: NameResolver) -> Self {
        Self {
            host: resolver.host().to_owned(),
            resolver: Some(resolver),
            last_look_up: Some(Instant::now()),
            look_up_is_missing: false,
        }
    }

    /// Takes the resolver for a look-up. `None` if the name has an address and the last look-up started less than
    /// [`MIN_LOOK_UP_PAUSE`] ago. Also `None` if another thread looks up the name.
    pub(super) fn take_resolver(&mut self, has_address: bool) -> Option<NameResolver> {
        let is_due = !has_address
            || self.last_look_up.is_none_or(|last| last.elapsed() >= MIN_LOOK_UP_PAUSE);
        let resolver = self.resolver.take_if(|_| is_due)?;
        self.last_look_up = Some(Instant::now());
        Some(resolver)
    }

    /// Returns the resolver after a look-up.
    pub(super) fn return_resolver(&mut self, resolver: Option<NameResolver>) {
        self.resolver = resolver.or(self.resolver.take());
    }
}
