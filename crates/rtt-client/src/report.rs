//! Reports of a run: text for people ([`Text`]), JSON Lines for programs ([`Json`]), and comma-separated values
//! ([`Csv`]).
//!
//! Each type implements [`Report`](crate::Report) and formats the events of a run. A report makes no
//! measurements and no decisions. This module is pure (no I/O except through the given writers, no clock), with
//! one exception: local times need the time zone of the system, and `chrono` reads it from the environment.
//!
//! # Examples
//!
//! Writes one exchange as text into memory:
//!
//! ```
//! use rtt_client::report::{Text, TextConfig};
//! use rtt_client::{Plan, Settings, protocol_named, run};
//! use std::net::UdpSocket;
//! use std::sync::atomic::AtomicBool;
//! use std::thread;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // An echo server on a free port. It answers one request.
//! let server = UdpSocket::bind("127.0.0.1:0")?;
//! let target = server.local_addr()?.to_string().parse()?;
//! thread::spawn(move || -> std::io::Result<()> {
//!     let mut message = [0; 100];
//!     let (length, client) = server.recv_from(&mut message)?;
//!     message.make_ascii_uppercase();
//!     server.send_to(&message[..length], client)?;
//!     Ok(())
//! });
//!
//! let udp = protocol_named("udp").expect("UDP is a registered protocol");
//! let plan = Plan::new(udp, target, Settings::one("hello, world"))?;
//! let config = TextConfig { width: 100, ..TextConfig::default() };
//! let (mut text, mut errors) = (Vec::new(), Vec::new());
//! let mut report = Text::new(&mut text, &mut errors, config);
//! run(&plan, &mut report, &AtomicBool::new(false))?;
//!
//! let text = String::from_utf8(text)?;
//! assert!(text.contains("HELLO, WORLD"));
//! assert!(text.contains("reply received"));
//! assert!(errors.is_empty());
//! # Ok(())
//! # }
//! ```

mod csv;
mod json;
mod text;

pub use csv::Csv;
pub use json::{Host, Invocation, Json, JsonConfig};
pub use text::{Charset, Styling, Text, TextConfig};
