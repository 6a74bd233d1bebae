//! A TCP server that sends received text back in upper case as it arrives.
//!
//! [`serve`] runs the server on listeners that are already bound. It returns the [`Totals`] after a shutdown. The crate
//! `echo-core` converts the text to upper case. The crate `echo-service` opens the sockets, writes the log, and handles
//! signals. The crate `udp-echo` has the same structure as this one, but the two crates do not depend on each other.
//!
//! The module `worker` explains how the server waits for its connections, and why it does not use tokio for this.
//!
//! ```
//! use std::io::{Read as _, Write as _};
//! use std::net::{Shutdown, TcpListener, TcpStream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let signals = echo_service::Signals::default();
//! let server = tokio::spawn(tcp_echo::serve(
//!     vec![vec![listener]], // one worker with one listener
//!     tcp_echo::Config::default(),
//!     signals.clone(),
//! ));
//! tokio::task::yield_now().await; // starts the worker thread
//!
//! let mut client = TcpStream::connect(address)?;
//! client.write_all(b"hello")?;
//! client.shutdown(Shutdown::Write)?;
//! let mut reply = String::new();
//! client.read_to_string(&mut reply)?;
//! assert_eq!(reply, "HELLO");
//!
//! signals.shutdown.cancel();
//! assert_eq!(server.await??.connections, 1);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod acceptor;
mod connection;
mod connection_table;
mod limits;
mod memory;
mod poller;
mod reply_output;
mod serve;
mod slots;
mod timed_request;
mod timeouts;
mod totals;
mod worker;

pub use limits::{
    DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_CONNECTIONS_PER_SOURCE,
    DEFAULT_STALL_TIMEOUT, MAX_TIMED_REQUEST_SIZE, MIN_TRANSFER_RATE, READ_SIZE, SHUTDOWN_TIMEOUT,
};
pub use memory::{
    MAX_KERNEL_MEMORY_PER_CONNECTION, MAX_PROCESS_MEMORY_PER_CONNECTION, MAX_UNSENT,
    RECEIVE_BUFFER, SEND_BUFFER, max_memory,
};
pub use serve::{Config, ServeError, serve};
pub use slots::{MAX_CONNECTIONS, MAX_PENDING_CLOSES, PrefixLimits, RESERVE_DIVISOR, reserved};
pub use totals::Totals;

/// The default port. The lab assignment defines it. IANA has not assigned it to this service.
pub const DEFAULT_PORT: u16 = 12000;
