//! The pure part of echo-rtt: what the servers answer, and what the client times with.
//!
//! - [`uppercase`] is the answer to a datagram; [`UppercaseStream`] is the same for text that arrives in
//!   pieces cut anywhere.
//! - [`Stamp`] is a moment, read from the monotonic and the wall clock at once.
//! - [`header`] is how a client asks how long a server had its request.
//! - [`escape`] makes what a stranger sent safe to show on a terminal.
//!
//! Nothing here opens a socket, waits, logs or knows a command line: that is the other crates' part.
//!
//! ```
//! let mut text = bytes::BytesMut::from("straße, ŉ, \u{10ffff}".as_bytes());
//! echo_core::uppercase(&mut text);
//! assert_eq!(&text[..], "STRASSE, ʼN, \u{10ffff}".as_bytes());
//! ```

#![forbid(unsafe_code)]

mod escape;
pub mod header;
mod stamp;
mod transform;

pub use escape::{escape, is_terminal_control};
pub use stamp::Stamp;
pub use transform::{MAX_GROWTH, UppercaseStream, could_be_a_reply, uppercase, uppercase_slice};
