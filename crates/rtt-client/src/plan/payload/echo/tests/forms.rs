//! Replies in upper case and unchanged replies.

use super::*;

#[test]
fn reply_must_be_the_request_in_upper_case() {
    let mut payload = message("hello");
    assert_eq!(payload.request(1), b"hello");
    assert_eq!(check(&mut payload, 1, b"HELLO", 0), complete(&payload, ServerReport::None));
    assert_eq!(check(&mut payload, 1, b"HEL", 0), ReplyCheck::Incomplete);
    assert_eq!(check(&mut payload, 1, b"", 0), ReplyCheck::Incomplete);
    assert_eq!(check(&mut payload, 1, b"Hello", 0), differs_at(2));
    let too_long = Mismatch::TooLong { extra: 2, expected: 5 };
    assert_eq!(check(&mut payload, 1, b"HELLO!!", 0), ReplyCheck::Wrong(too_long));
    assert_eq!(payload.number_in(b"HELLO"), None);
}

#[test]
fn reply_of_the_unchanged_form_must_be_the_request() {
    let (text, unnumbered) = ("straße".as_bytes(), Numbering::Unnumbered);
    let mut payload = of_text(text, unnumbered, HeaderContent::Nothing, ReplyForm::Unchanged);
    assert_eq!(check(&mut payload, 1, text, 0), complete(&payload, ServerReport::None));
    let other_form = Mismatch::OtherForm { expected: ReplyForm::Unchanged };
    assert_eq!(check(&mut payload, 1, b"STRASSE", 0), ReplyCheck::Wrong(other_form));
    assert_eq!(check(&mut payload, 1, b"STRASS", 0), differs_at(1));
    let series = Payload::of_size(64, HeaderContent::Nothing, ReplyForm::Unchanged);
    for mut payload in [series.without_header(), series] {
        let reply = payload.request(3).to_vec();
        assert_eq!(check(&mut payload, 3, &reply, 0), complete(&payload, ServerReport::None));
        assert_eq!(check(&mut payload, 4, &reply, 0), differs_at(10));
    }
}

#[test]
fn first_reply_in_which_the_forms_differ_selects_the_form() {
    let auto = ExpectedForm::OfFirstReply;
    for (first, second, selected) in [
        (&b"HELLO"[..], &b"hello"[..], ReplyForm::UpperCase),
        (b"hello", b"HELLO", ReplyForm::Unchanged),
    ] {
        let mut payload = message_of_form("hello", auto);
        assert_eq!(payload.reply_form(), None);
        assert_eq!(check(&mut payload, 1, b"", 0), ReplyCheck::Incomplete);
        assert_eq!(check(&mut payload, 1, &first[..4], 0), ReplyCheck::Incomplete);
        // An earlier call has compared the first bytes.
        assert_eq!(check(&mut payload, 1, first, 4), complete(&payload, ServerReport::None));
        assert_eq!(payload.reply_form(), Some(selected));
        let other = ReplyCheck::Wrong(Mismatch::OtherForm { expected: selected });
        assert_eq!(check(&mut payload, 2, second, 0), other, "a later change of the form");
        assert_eq!(check(&mut payload, 3, first, 0), complete(&payload, ServerReport::None));
    }
}

#[test]
fn mixture_of_the_two_forms_is_wrong() {
    for (reply, position) in [(&b"HEllo"[..], 3), (b"heLLO", 3), (b"hellO", 5), (b"Hello", 2)] {
        let mut payload = message_of_form("hello", ExpectedForm::OfFirstReply);
        assert_eq!(check(&mut payload, 1, reply, 0), differs_at(position), "{reply:?}");
        assert_eq!(payload.reply_form(), None, "a wrong reply selects no form");
    }
    let mut payload = message_of_form("hello", ExpectedForm::OfFirstReply);
    let too_long = Mismatch::TooLong { extra: 1, expected: 5 };
    for reply in [b"HELLO!", b"hello!"] {
        assert_eq!(check(&mut payload, 1, reply, 0), ReplyCheck::Wrong(too_long));
        assert_eq!(payload.reply_form(), None);
    }
}

#[test]
fn reply_that_is_the_same_in_both_forms_selects_no_form() {
    let mut payload = message_of_form("12 34", ExpectedForm::OfFirstReply);
    assert_eq!(check(&mut payload, 1, b"12 34", 0), complete(&payload, ServerReport::None));
    assert_eq!(payload.reply_form(), None);
}

#[test]
fn form_of_a_reply_determines_its_length() {
    let street = "straße".as_bytes();
    for (reply, form) in [(&b"STRASSE"[..], ReplyForm::UpperCase), (street, ReplyForm::Unchanged)] {
        let mut payload = message_of_form("straße", ExpectedForm::OfFirstReply);
        // On a stream, another reply can follow.
        let bytes = [reply, reply].concat();
        let expected = ReplyCheck::Complete { len: reply.len(), report: ServerReport::None };
        assert_eq!(payload.check(1, &bytes, 0, ExtraBytes::NextReply), expected);
        assert_eq!(payload.reply_form(), Some(form));
    }
}

#[test]
fn unchanged_reply_contains_the_header_of_the_request() {
    for content in [HeaderContent::Counts, HeaderContent::Timing, HeaderContent::Nothing] {
        let mut payload = Payload::of_size(200, content, ExpectedForm::OfFirstReply);
        payload.start_run(7);
        let reply = payload.request(5).to_vec();
        for cut in 0..200 {
            let check = check(&mut payload, 5, &reply[..cut], 0);
            assert_eq!(check, ReplyCheck::Incomplete, "{cut}");
        }
        assert_eq!(check(&mut payload, 5, &reply, 0), complete(&payload, ServerReport::None));
        assert_eq!(payload.reply_form(), Some(ReplyForm::Unchanged));
        assert!(!payload.needs_version1(5, ServerReport::None));
        let mut wrong_token = payload.request(6).to_vec();
        wrong_token[payload.number.token().start] ^= 1;
        let wrong = ReplyCheck::Wrong(Mismatch::WrongToken);
        assert_eq!(check(&mut payload, 6, &wrong_token, 0), wrong);
    }
}
