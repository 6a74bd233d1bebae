//! Being run by systemd, or by anything that speaks its two small protocols: sockets that are passed on
//! (`sd_listen_fds(3)`), and telling when the service is ready and when it ends (`sd_notify(3)`).
//!
//! Without such a supervisor, and on other systems, there is nothing to take and nobody to tell.

use std::net::{TcpListener, UdpSocket};

/// Sockets that a supervisor has opened for this process, in its order.
#[derive(Debug, Default)]
pub(crate) struct PassedSockets {
    /// Of UDP.
    pub(crate) udp: Vec<UdpSocket>,
    /// Of TCP, listening.
    pub(crate) tcp: Vec<TcpListener>,
    /// How many were something else, or could not be taken.
    pub(crate) others: usize,
}

/// Takes the sockets that a supervisor has passed. Later calls find none.
#[cfg(all(unix, not(portable)))]
pub(crate) fn passed_sockets() -> PassedSockets {
    let mut sockets = listenfd::ListenFd::from_env();
    let mut passed = PassedSockets::default();
    for place in 0..sockets.len() {
        if let Ok(Some(socket)) = sockets.take_udp_socket(place) {
            passed.udp.push(socket);
        } else if let Ok(Some(listener)) = sockets.take_tcp_listener(place) {
            passed.tcp.push(listener);
        } else {
            passed.others += 1;
        }
    }
    passed
}

/// As above: here there is nobody who passes sockets.
#[cfg(not(all(unix, not(portable))))]
pub(crate) fn passed_sockets() -> PassedSockets {
    PassedSockets::default()
}

/// Tells the supervisor that every socket is bound and served.
pub(crate) fn tell_ready() {
    #[cfg(all(unix, not(portable)))]
    tell(sd_notify::NotifyState::Ready);
}

/// Tells the supervisor that the service is ending.
pub(crate) fn tell_ending() {
    #[cfg(all(unix, not(portable)))]
    tell(sd_notify::NotifyState::Stopping);
}

#[cfg(all(unix, not(portable)))]
fn tell(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the supervisor that asked to be told could not be");
    }
}
