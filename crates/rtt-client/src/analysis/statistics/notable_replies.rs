//! [`NotableReplies`]: the content of replies that a reader should see, although a series does not print its replies.

use crate::model::format::count;
use crate::model::received_text::received_text;
use crate::plan::ShownText;
use bytes::Bytes;

/// The content of some replies of a series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotableReplies {
    /// The number of correct replies that report an error, including those of a warm-up.
    pub errors: u64,
    /// The error in the first of these replies.
    first_error: Option<String>,
    /// The first line of the first reply, if every reply counts as correct.
    first_unchecked: Option<String>,
    /// The first line of the first wrong reply.
    first_wrong: Option<String>,
}

impl NotableReplies {
    /// Adds a correct reply that reports this error.
    pub(crate) fn error(&mut self, error: &[u8]) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| received_text(error));
    }

    /// Adds a reply whose content the client does not check.
    pub(crate) fn unchecked(&mut self, reply: &Bytes) {
        self.first_unchecked.get_or_insert_with(|| first_line(reply));
    }

    /// Adds a wrong reply.
    pub(crate) fn wrong(&mut self, reply: &Bytes) {
        self.first_wrong.get_or_insert_with(|| first_line(reply));
    }

    /// Removes the first wrong reply, because another note shows it.
    pub(crate) fn hide_wrong(&mut self) {
        self.first_wrong = None;
    }

    /// Adds the replies of a later series.
    pub(crate) fn add(&mut self, later: &Self) {
        let Self { errors, first_error, first_unchecked, first_wrong } = later;
        self.errors += errors;
        let add = |first: &mut Option<String>, later: &Option<String>| {
            if first.is_none() {
                first.clone_from(later);
            }
        };
        add(&mut self.first_error, first_error);
        add(&mut self.first_unchecked, first_unchecked);
        add(&mut self.first_wrong, first_wrong);
    }

    /// The notes about a series of `sent` requests with `received` correct replies.
    pub(crate) fn notes(&self, sent: u64, received: u64) -> Vec<String> {
        let replies = match (self.errors, received) {
            (1, 1) => "The reply reports an error".to_owned(),
            (errors, received) if errors >= received => "Each reply reports an error".to_owned(),
            (1, _) => format!("1 of {} replies reports an error", count(received)),
            (errors, _) => {
                format!("{} of {} replies report an error", count(errors), count(received))
            }
        };
        // The output of a single exchange contains its reply.
        self.sentences(&replies, "", sent > 1)
    }

    /// The notes about the side of a comparison with this name.
    pub(crate) fn notes_of_side(&self, name: &str) -> Vec<String> {
        let replies = if self.errors == 1 { "1 reply" } else { "Replies" };
        let verb = if self.errors == 1 { "reports" } else { "report" };
        self.sentences(
            &format!("{replies} of {name} {verb} an error"),
            &format!(" of {name}"),
            true,
        )
    }

    fn sentences(&self, errors: &str, of_name: &str, is_series: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(error) = &self.first_error {
            let first = if self.errors > 1 { ", the first one" } else { "" };
            notes.push(format!(
                "{errors}{first}: `{error}`. The server has answered, so the RTT is valid. It is the RTT of an error."
            ));
        }
        if let Some(line) = self.first_unchecked.as_ref().filter(|_| is_series) {
            notes.push(format!(
                "The first reply{of_name} begins with `{line}`. Without --expect-prefix, any reply is correct."
            ));
        }
        if let Some(line) = self.first_wrong.as_ref().filter(|_| is_series) {
            notes.push(format!("The first wrong reply{of_name} begins with `{line}`."));
        }
        notes
    }
}

/// The first line of a reply, for people.
fn first_line(reply: &Bytes) -> String {
    received_text(&ShownText::FirstLine.of(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_contain_the_number_of_errors_and_the_first_one() {
        let mut replies = NotableReplies::default();
        assert!(replies.notes(1, 1).is_empty());
        replies.error(b"HTTP/1.1 404 Not Found");
        for (received, expected) in [
            (1, "The reply reports an error: `HTTP/1.1 404 Not Found`. "),
            (9, "1 of 9 replies reports an error: `HTTP/1.1 404 Not Found`. "),
        ] {
            let notes = replies.notes(received, received);
            assert!(notes[0].starts_with(expected), "{notes:?}");
        }
        replies.error(b"HTTP/1.1 500 Other");
        for (received, expected) in [
            (2, "Each reply reports an error, the first one: `HTTP/1.1 404 Not Found`. "),
            (9, "2 of 9 replies report an error, the first one: `HTTP/1.1 404 Not Found`. "),
        ] {
            let notes = replies.notes(received, received);
            assert!(notes[0].starts_with(expected), "{notes:?}");
        }
        let notes = replies.notes_of_side("TCP");
        assert!(
            notes[0].starts_with("Replies of TCP report an error, the first one: "),
            "{notes:?}"
        );
    }

    #[test]
    fn first_line_is_safe_for_a_terminal() {
        let mut replies = NotableReplies::default();
        replies.unchecked(&b"\x1b[2J\r\nsecond"[..].into());
        replies.unchecked(&b"later"[..].into());
        replies.wrong(&b"-NOAUTH\r\n"[..].into());
        let notes = replies.notes(2, 1);
        assert!(notes[0].starts_with(r"The first reply begins with `\x1b[2J`."), "{notes:?}");
        assert_eq!(notes[1], "The first wrong reply begins with `-NOAUTH`.");
        assert!(replies.notes(1, 1).is_empty(), "a single exchange shows its reply");
    }

    #[test]
    fn earlier_series_has_the_first_replies() {
        let (mut first, mut second) = (NotableReplies::default(), NotableReplies::default());
        first.error(b"one");
        second.error(b"two");
        second.wrong(&b"wrong"[..].into());
        first.add(&second);
        assert_eq!((first.errors, first.first_error.as_deref()), (2, Some("one")));
        assert_eq!(first.first_wrong.as_deref(), Some("wrong"));
    }
}
