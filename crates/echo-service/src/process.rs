//! The process and its environment: sockets and notifications of a supervisor, the limit on open files, the
//! tokio runtime, and the exit status.
//!
//! A supervisor such as systemd can pass sockets to the process (`sd_listen_fds(3)`), and the process can
//! send its state to the supervisor (`sd_notify(3)`). Without a supervisor, there are no passed sockets, and
//! a notification does nothing. The same is true on systems without these protocols.

use crate::workers::WorkerFailure;
use echo_core::escape;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// The exit status of a server that cannot start.
pub(crate) const CANNOT_START: u8 = 2;

/// The exit status of a server that cannot continue. A supervisor can then start it again.
pub(crate) const CANNOT_CONTINUE: u8 = 1;

/// Maximum time to print a message on stderr. If no program reads stderr, the write can block forever. The log can also
/// block in its thread, and then it holds the lock of stderr.
const MAX_PRINT_TIME: Duration = Duration::from_secs(1);

/// Returns the exit status of `server`. If `result` is an error, prints it on stderr in one line. This takes about one
/// second at most.
///
/// The status is 1 if the error or one of its sources is a [`WorkerFailure`]. For all other errors, it is 2.
#[must_use]
pub fn exit_code<E>(server: &str, result: Result<(), E>) -> ExitCode
where
    E: Display + AsRef<dyn Error + Send + Sync + 'static>,
{
    let Err(error) = result else { return ExitCode::SUCCESS };
    // With `#`, anyhow prints an error and all its sources.
    print_line(format_args!("{server}: {error:#}"));
    ExitCode::from(if is_worker_failure(error.as_ref()) { CANNOT_CONTINUE } else { CANNOT_START })
}

/// Whether `error` or one of its sources is a [`WorkerFailure`].
fn is_worker_failure(error: &(dyn Error + 'static)) -> bool {
    error.is::<WorkerFailure>() || error.source().is_some_and(is_worker_failure)
}

/// Prints one line on stderr. The line can contain a name or an argument, so control characters become escapes.
pub(crate) fn print_line(line: impl Display) {
    print(format!("{}\n", escape(line.to_string().as_bytes())));
}

/// Prints `text` on stderr. Returns after [`MAX_PRINT_TIME`] if the write does not end earlier.
pub(crate) fn print(text: String) {
    let text: Arc<str> = text.into();
    let (sender, end) = mpsc::channel::<()>();
    let of_thread = Arc::clone(&text);
    let thread = thread::Builder::new().name("print".to_owned()).spawn(move || {
        write_to_stderr(&of_thread);
        drop(sender);
    });
    match thread {
        // The wait ends when the thread drops the sender.
        Ok(_) => drop(end.recv_timeout(MAX_PRINT_TIME)),
        Err(_) => write_to_stderr(&text),
    }
}

fn write_to_stderr(text: &str) {
    // If stderr is closed or full, the process has no other output for the text.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Creates the tokio runtime of a server. The runtime has one thread, a timer and no event queue, so it needs no
/// descriptors.
///
/// # Errors
///
/// The error of the system.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build()
}

/// Raises the soft limit on open files to the hard limit (getrlimit(2)). This needs no privileges. Returns
/// the active limit, or `None` if the system does not report it.
#[cfg(all(unix, not(portable)))]
#[must_use]
pub fn raise_descriptor_limit() -> Option<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    /// On macOS, the hard limit can be infinite, but the system rejects a soft limit above `OPEN_MAX`.
    const OPEN_MAX: u64 = 10_240;

    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let raised = [hard, hard.min(OPEN_MAX)]
        .into_iter()
        .filter(|limit| *limit > soft)
        .find(|limit| setrlimit(Resource::RLIMIT_NOFILE, *limit, hard).is_ok());
    Some(raised.unwrap_or(soft))
}

/// Returns `None`: this system does not report a limit.
#[cfg(not(all(unix, not(portable))))]
#[must_use]
pub fn raise_descriptor_limit() -> Option<u64> {
    None
}

/// Sockets that a supervisor opened for this process, in the supervisor's order.
#[derive(Debug, Default)]
pub(crate) struct PassedSockets {
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) tcp: Vec<TcpListener>,
    /// Number of passed descriptors of other kinds, for example Unix sockets.
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

/// Returns no sockets: a supervisor cannot pass sockets on this system.
#[cfg(not(all(unix, not(portable))))]
pub(crate) fn take_passed_sockets() -> PassedSockets {
    PassedSockets::default()
}

/// Notifies the supervisor that the server is ready for requests on all sockets.
pub(crate) fn notify_ready() {
    #[cfg(all(unix, not(portable)))]
    notify(sd_notify::NotifyState::Ready);
}

/// Notifies the supervisor that all workers make progress.
pub(crate) fn notify_alive() {
    #[cfg(all(unix, not(portable)))]
    notify(sd_notify::NotifyState::Watchdog);
}

/// The watchdog timeout: the supervisor kills the process if no [`notify_alive`] arrives for this time
/// (`sd_watchdog_enabled(3)`). `None` if the supervisor has no watchdog for this process.
pub(crate) fn watchdog_timeout() -> Option<Duration> {
    #[cfg(all(unix, not(portable)))]
    return sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero());
    #[cfg(not(all(unix, not(portable))))]
    None
}

/// Notifies the supervisor that the shutdown has begun.
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
