//! The protocols of systemd, which other supervisors also implement: sockets that the supervisor passes to
//! the process (`sd_listen_fds(3)`), and messages about the state of the service (`sd_notify(3)`).
//!
//! Without a supervisor, and on systems without these protocols, there are no passed sockets, and a
//! notification does nothing.

use std::net::{TcpListener, UdpSocket};

/// Sockets that a supervisor opened for this process, in the supervisor's order.
#[derive(Debug, Default)]
pub(crate) struct PassedSockets {
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) tcp: Vec<TcpListener>,
    /// Number of descriptors that are neither UDP sockets nor TCP listeners on an IP address, or that are not
    /// usable.
    pub(crate) unsupported: usize,
}

/// Takes the sockets that a supervisor passed. A second call finds none.
#[cfg(all(unix, not(portable)))]
pub(crate) fn take_passed_sockets() -> PassedSockets {
    let mut descriptors = listenfd::ListenFd::from_env();
    let mut passed = PassedSockets::default();
    for index in 0..descriptors.len() {
        if let Ok(Some(socket)) = descriptors.take_udp_socket(index) {
            passed.udp.push(socket);
        } else if let Ok(Some(listener)) = descriptors.take_tcp_listener(index) {
            passed.tcp.push(listener);
        } else {
            passed.unsupported += 1;
        }
    }
    passed
}

/// Returns no sockets: this system has no such protocol.
#[cfg(not(all(unix, not(portable))))]
pub(crate) fn take_passed_sockets() -> PassedSockets {
    PassedSockets::default()
}

/// Notifies the supervisor that all sockets are bound and served.
pub(crate) fn notify_ready() {
    #[cfg(all(unix, not(portable)))]
    notify(sd_notify::NotifyState::Ready);
}

/// Notifies the supervisor that the service is ending.
pub(crate) fn notify_stopping() {
    #[cfg(all(unix, not(portable)))]
    notify(sd_notify::NotifyState::Stopping);
}

#[cfg(all(unix, not(portable)))]
fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the supervisor (NOTIFY_SOCKET)");
    }
}
