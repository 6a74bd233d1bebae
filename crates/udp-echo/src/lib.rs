//! A UDP server that answers each datagram with the same text in upper case.
//!
//! [`serve()`] runs the server on sockets that are already bound. It returns the [`Totals`] after a shutdown.
//! The crate `echo-core` converts the text to upper case. The crate `echo-service` opens the sockets, writes
//! the log, and handles signals. The crate `tcp-echo` has the same structure.
//!
//! ```
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
//!     let address = socket.local_addr()?;
//!     let signals = echo_service::Signals::default();
//!     let config = udp_echo::Config::default();
//!     let server = tokio::spawn(udp_echo::serve(vec![socket], config, signals.clone()));
//!
//!     let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
//!     client.send_to(b"hello", address).await?;
//!     let mut reply = [0; 5];
//!     client.recv(&mut reply).await?;
//!     assert_eq!(&reply, b"HELLO");
//!
//!     signals.shutdown.cancel();
//!     let totals = server.await??;
//!     assert_eq!(totals.answered, 1);
//!     Ok(())
//! }
//! ```

mod admission;
mod datagram_io;
mod flow_table;
#[cfg(all(any(test, fuzzing), target_os = "linux", not(portable)))]
#[doc(hidden)]
pub mod fuzzing;
mod memory;
mod queue_monitor;
mod refusal;
mod responder;
mod serve;
mod totals;
mod worker;

pub use echo_core::FIRST_CLIENT_PORT;
pub use memory::{MAX_MEMORY_PER_SOCKET, max_memory};
pub use serve::{Config, ServeError, prepare, serve};
pub use totals::Totals;
pub use worker::SHUTDOWN_TIMEOUT;

/// The default port. The lab defines it; IANA has not assigned it to this service.
pub const DEFAULT_PORT: u16 = 25000;
