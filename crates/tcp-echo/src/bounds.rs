//! How much of a connection is held, and for how long.

/// How much is taken from a connection at once. With the reply, [`echo_core::MAX_GROWTH`] times as long, of
/// which what the system does not take at once is kept, this bounds what a peer that sends text and never
/// reads makes the server hold: 48 KiB. One that asks for timings has a whole message answered at once, of
/// [`echo_core::header::MAX_TIMED_LEN`] bytes: 280 KiB with its reply and what has been read behind it.
pub(crate) const PIECE: usize = 16 * 1024;

/// The number of a round that looks for connections whose time is over: a clock that costs a step nothing.
pub(crate) type Round = u32;

/// How many rounds something may take; none, if as many as it likes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) idle: Option<Round>,
    pub(crate) stall: Option<Round>,
}
