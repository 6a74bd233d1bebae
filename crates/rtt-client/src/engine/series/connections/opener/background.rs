//! [`BackgroundOpening`]: a look-up and an attempt to open a channel in another thread.

use super::Opener;
use super::opening::{Opening, OpeningResult, PeerAttempt};
use crate::net::resolve::{AddressChoice, NameResolver};
use crate::net::transport::OpenConfig;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};
use std::{io, thread};
use tracing::debug;

/// The minimum time between the starts of two attempts in another thread. Each attempt can send a connection request
/// and a query for the name. Many requests can be due in this time.
const MIN_ATTEMPT_PAUSE: Duration = Duration::from_millis(50);

/// The longest wait for a look-up before an attempt in another thread, if the target has an address. An attempt with this
/// address can succeed while the name servers do not answer.
const MAX_LOOK_UP_WAIT: Duration = Duration::from_millis(250);

/// When to open a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::series) enum OpenWhen {
    Always,
    /// Only if the name no longer has the measured address.
    NameChanged,
}

/// A running look-up and attempt.
#[derive(Debug)]
pub(super) struct BackgroundOpening {
    /// The local address of the open channel at the start.
    beside: Option<SocketAddr>,
    /// Replaces the resolver if the other thread does not return it.
    spare_resolver: Option<NameResolver>,
    result: Receiver<OpeningResult>,
}

/// The result of another thread.
pub(in crate::engine::series) struct FinishedOpening {
    /// The local address of the channel that was open at the start.
    pub(in crate::engine::series) beside: Option<SocketAddr>,
    /// `None` if there was no attempt to open a channel.
    pub(in crate::engine::series) attempt: Option<PeerAttempt>,
}

impl Opener<'_> {
    /// Whether another thread looks up the name or opens a channel.
    pub(in crate::engine::series::connections) fn has_background(&self) -> bool {
        self.background.is_some()
    }

    /// Starts an attempt in another thread, at the earliest [`MIN_ATTEMPT_PAUSE`] after the previous start. `beside` is
    /// the local address of the open channel. Returns whether the thread was started.
    pub(super) fn start_if_due(&mut self, when: OpenWhen, beside: Option<SocketAddr>) -> bool {
        let is_due = self.last_background.is_none_or(|last| last.elapsed() >= MIN_ATTEMPT_PAUSE);
        is_due && self.start(when, beside)
    }

    /// Starts an attempt in another thread. `beside` is the local address of the open channel.
    pub(in crate::engine::series::connections) fn start_background(
        &mut self,
        beside: Option<SocketAddr>,
    ) {
        self.start(OpenWhen::Always, beside);
    }

    fn start(&mut self, when: OpenWhen, beside: Option<SocketAddr>) -> bool {
        if self.background.is_some() {
            return false;
        }
        let config = match beside {
            Some(_) => self.config_beside(),
            None => self.config.without_interrupt(),
        };
        let choice = match when {
            OpenWhen::Always => self.choice(true),
            OpenWhen::NameChanged => AddressChoice::KeepCurrent,
        };
        let (open, address, resolver) = (self.open, self.address, self.take_resolver());
        if resolver.is_none() && when == OpenWhen::NameChanged {
            return false;
        }
        let spare_resolver = resolver.as_ref().map(NameResolver::without_look_up);
        // The next attempt uses the result of a longer look-up.
        let is_short = when == OpenWhen::Always && address.is_some();
        let max_wait = if is_short { MAX_LOOK_UP_WAIT } else { Duration::MAX };
        let look_up_timeout = self.timeout.min(max_wait);
        let opening = Opening { open, address, resolver, choice, look_up_timeout, when };
        self.last_background = Some(Instant::now());
        match start_thread(opening, config) {
            Ok(result) => {
                self.background = Some(BackgroundOpening { beside, spare_resolver, result });
                true
            }
            Err(error) => {
                debug!(%error, "cannot start a thread");
                self.return_resolver(spare_resolver);
                false
            }
        }
    }

    /// The result of the other thread, if it is available.
    pub(in crate::engine::series::connections) fn take_finished(
        &mut self,
    ) -> Option<FinishedOpening> {
        let result = match self.background.as_ref()?.result.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Ok(result) => Some(result),
            Err(TryRecvError::Disconnected) => None,
        };
        let BackgroundOpening { beside, spare_resolver, .. } = self.background.take()?;
        let Some((resolver, attempt)) = result else {
            self.return_resolver(spare_resolver);
            return Some(FinishedOpening { beside, attempt: None });
        };
        if resolver.is_some() || attempt.is_some() {
            self.set_look_up_is_missing(resolver.is_none());
        }
        self.return_resolver(resolver);
        Some(FinishedOpening { beside, attempt })
    }
}

/// Starts a thread. If the series ends earlier, the thread closes the channel.
fn start_thread(
    opening: Opening,
    config: OpenConfig<'static>,
) -> io::Result<Receiver<OpeningResult>> {
    let (sender, result) = mpsc::channel();
    let run = move || {
        // The send fails only if the series has ended.
        let _ = sender.send(opening.run(config));
    };
    thread::Builder::new().name("new connection".to_owned()).spawn(run)?;
    Ok(result)
}
