//! The code that servers and client share: the conversion of text to upper case, timestamps, and the bytes of
//! the timing header.
//!
//! - [`uppercase`] converts a datagram. [`UppercaseStream`] converts a stream that arrives in pieces, cut at
//!   any byte.
//! - [`Stamp`] is one reading of the monotonic clock and one of the wall clock.
//! - [`header`] builds and parses the timing header. With it, a server reports how long it had a request.
//! - [`escape()`] makes bytes from the network safe to show on a terminal.
//!
//! This crate does no I/O: it opens no sockets, does not wait, and does not log. It does not depend on tokio
//! or clap.
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
