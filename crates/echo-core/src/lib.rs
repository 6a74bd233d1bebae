//! The code that servers and client share: the conversion of text to upper case, timestamps, and the bytes of
//! the timing header.
//!
//! - [`uppercase`] converts a datagram. [`UppercaseStream`] converts a stream that arrives in pieces, cut at
//!   any byte.
//! - [`Stamp`] is one reading of the monotonic clock and one of the wall clock.
//! - [`header`] builds and parses the timing header. A server uses it to report its processing time.
//! - [`is_service_port`] lists the source ports that the UDP server refuses and the client does not use.
//! - [`escape()`] makes bytes from the network safe to show on a terminal. [`escape_controls`] does the same for a line
//!   of text, and [`escape_json`] for a line of JSON.
//!
//! This crate does no I/O: it does not open sockets, does not wait, and does not log. It does not depend on
//! tokio or clap.
//!
//! ```
//! let mut text = bytes::BytesMut::from("straße, ŉ, \u{10ffff}".as_bytes());
//! echo_core::uppercase(&mut text);
//! assert_eq!(&text[..], "STRASSE, ʼN, \u{10ffff}".as_bytes());
//! ```

#![forbid(unsafe_code)]

mod checksum_errors;
mod escape;
pub mod header;
mod source_port;
mod stamp;
mod transform;

pub use checksum_errors::udp_checksum_errors;
pub use escape::{escape, escape_controls, escape_json, is_terminal_control};
pub use source_port::{FIRST_CLIENT_PORT, is_service_port};
pub use stamp::Stamp;
pub use transform::{MAX_GROWTH, UppercaseStream, could_be_a_reply, uppercase, uppercase_slice};

/// Maximum payload of a UDP datagram over IPv4, in bytes: 65,535 minus 20 for the IP header and 8 for the UDP
/// header. The field "total length" in the IP header has 16 bits and includes both headers (RFC 791).
pub const MAX_UDP_PAYLOAD_IPV4: usize = 65_507;

/// Maximum payload of a UDP datagram over IPv6, in bytes: 65,535 minus 8 for the UDP header. The field
/// "payload length" in the IPv6 header has 16 bits and does not include that header (RFC 8200).
pub const MAX_UDP_PAYLOAD_IPV6: usize = 65_527;
