//! [`ExpectedForm`]: the form of the correct reply of an echo server.

use super::Mismatch;
use super::ReplyCheck;
use super::uppercase;
use crate::model::protocol::ReplyForm;

/// The form of correct replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpectedForm {
    /// Only this form is correct.
    Fixed(ReplyForm),
    /// Both forms are correct, until the first reply for which they differ selects one of them.
    OfFirstReply,
}

impl ExpectedForm {
    pub(crate) fn known(self) -> Option<ReplyForm> {
        match self {
            Self::Fixed(form) => Some(form),
            Self::OfFirstReply => None,
        }
    }

    /// The length of the longest correct reply to `text`, at least the length of `text`. Some characters have more bytes
    /// in upper case.
    pub(super) fn longest_reply(self, text: &[u8]) -> usize {
        match self {
            Self::Fixed(ReplyForm::Unchanged) => text.len(),
            Self::Fixed(ReplyForm::UpperCase) | Self::OfFirstReply => {
                text.len().max(uppercase(text).len())
            }
        }
    }
}

impl From<ReplyForm> for ExpectedForm {
    fn from(form: ReplyForm) -> Self {
        Self::Fixed(form)
    }
}

/// The forms that the bytes of an incomplete reply permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PossibleForms {
    Both,
    Only(ReplyForm),
}

/// Checks a reply against the possible forms. Returns the result, the forms that are still possible, and the form that the
/// complete reply selects. A reply that is complete in both forms, for example a number, selects no form.
pub(super) fn select(
    possible: PossibleForms,
    check: impl Fn(ReplyForm) -> ReplyCheck,
) -> (ReplyCheck, PossibleForms, Option<ReplyForm>) {
    if let PossibleForms::Only(form) = possible {
        let check = check(form);
        let selected = check.is_complete().then_some(form);
        return (check, possible, selected);
    }
    let [upper, same] = [ReplyForm::UpperCase, ReplyForm::Unchanged].map(&check);
    let only = PossibleForms::Only;
    match (upper, same) {
        (upper, same) if upper.is_complete() && same.is_complete() => (upper, possible, None),
        (upper, _) if upper.is_complete() => (upper, possible, Some(ReplyForm::UpperCase)),
        (_, same) if same.is_complete() => (same, possible, Some(ReplyForm::Unchanged)),
        (ReplyCheck::Wrong(upper), ReplyCheck::Wrong(same)) => {
            (ReplyCheck::Wrong(later(upper, same)), possible, None)
        }
        (upper, ReplyCheck::Wrong(_)) => (upper, only(ReplyForm::UpperCase), None),
        (ReplyCheck::Wrong(_), same) => (same, only(ReplyForm::Unchanged), None),
        (upper, _) => (upper, possible, None),
    }
}

/// The difference of the form that agrees with more bytes of the reply.
fn later(upper: Mismatch, same: Mismatch) -> Mismatch {
    match (upper, same) {
        (Mismatch::DiffersAtByte(in_upper), Mismatch::DiffersAtByte(in_same))
            if in_same > in_upper =>
        {
            same
        }
        (Mismatch::DiffersAtByte(_), Mismatch::TooLong { .. }) => same,
        _ => upper,
    }
}
