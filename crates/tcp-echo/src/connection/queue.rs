//! The queue that contains a connection.

use super::ReadMode;

/// The queue of [`crate::connection_table::ConnectionTable`] that contains a connection, and the mode of the step that
/// follows. The type takes one byte, because a connection must fit in one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// No queue: the connection waits for an event.
    None,
    /// The queue of the connections that need a step, with [`ReadMode::UntilShortRead`].
    Runnable,
    /// The same queue, with [`ReadMode::UntilEmpty`].
    RunnableUntilEmpty,
    /// The queue of the connections that wait for the rate limit of their source, with [`ReadMode::UntilShortRead`].
    RateLimited,
    /// The same queue, with [`ReadMode::UntilEmpty`].
    RateLimitedUntilEmpty,
}

impl Queue {
    pub(crate) fn runnable(read_mode: ReadMode) -> Self {
        match read_mode {
            ReadMode::UntilShortRead => Self::Runnable,
            ReadMode::UntilEmpty => Self::RunnableUntilEmpty,
        }
    }

    pub(crate) fn rate_limited(read_mode: ReadMode) -> Self {
        match read_mode {
            ReadMode::UntilShortRead => Self::RateLimited,
            ReadMode::UntilEmpty => Self::RateLimitedUntilEmpty,
        }
    }

    pub(crate) fn is_rate_limited(self) -> bool {
        matches!(self, Self::RateLimited | Self::RateLimitedUntilEmpty)
    }

    pub(crate) fn read_mode(self) -> ReadMode {
        match self {
            Self::None | Self::Runnable | Self::RateLimited => ReadMode::UntilShortRead,
            Self::RunnableUntilEmpty | Self::RateLimitedUntilEmpty => ReadMode::UntilEmpty,
        }
    }

    /// The same queue, with [`ReadMode::UntilEmpty`].
    pub(crate) fn until_empty(self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Runnable | Self::RunnableUntilEmpty => Self::RunnableUntilEmpty,
            Self::RateLimited | Self::RateLimitedUntilEmpty => Self::RateLimitedUntilEmpty,
        }
    }
}
