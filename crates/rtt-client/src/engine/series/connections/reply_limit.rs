//! [`ReplyLimit`]: whether the server closes each connection after the same number of replies.

/// Detects whether the server closes each connection after the same number of replies.
#[derive(Debug, Default)]
pub(super) struct ReplyLimit {
    last: Option<u64>,
    /// The limit. One close can be a coincidence, so the same number must occur twice in a row.
    pub(super) confirmed: Option<u64>,
}

impl ReplyLimit {
    pub(super) fn closed_after(&mut self, replies: u64) {
        if self.last == Some(replies) {
            self.confirmed = self.last;
        }
        self.last = Some(replies);
    }
}
