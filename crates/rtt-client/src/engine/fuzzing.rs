//! Entry point for the fuzz target `messages`: a server sends any messages to the client. The target uses no socket.

use super::channel::{Channel, ChannelEvent};
use super::test_transport;
use crate::model::icmp::IcmpError;
use crate::model::protocol::{Framing, ReplyForm};
use crate::net::system::{NetworkError, WaitUntil};
use crate::plan::payload::{EchoPayload, HeaderContent, Numbering, Payload, ServerReport};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// The number of requests in flight.
const REQUESTS: u8 = 3;

/// The largest length of a request of this test, in bytes.
const MAX_LEN: u16 = 2000;

/// A message of the simulated server: the correct reply to a request, or the bytes of a request, with any changes.
#[derive(Debug, Clone, Default)]
pub struct AnyMessage {
    /// The message begins as the bytes of this request.
    pub request: u8,
    /// The bytes of the request are in upper case.
    pub is_reply: bool,
    /// These bytes replace the bytes at [`Self::position`].
    pub replacement: Vec<u8>,
    /// The position of the replacement. A message ends at most at this position.
    pub position: u16,
    /// The maximum length of the message.
    pub length: u16,
    /// The number in the header of the protocol.
    pub number_in_header: Option<u8>,
}

impl AnyMessage {
    fn bytes(&self, payload: &mut Payload) -> Vec<u8> {
        let mut bytes = payload.request(self.request.into()).to_vec();
        if self.is_reply {
            bytes = echo_core::uppercase_slice(&mut bytes).into_owned();
        }
        let start = usize::from(self.position).min(bytes.len());
        let end = (start + self.replacement.len()).min(bytes.len());
        bytes.splice(start..end, self.replacement.iter().copied());
        bytes.truncate(self.length.into());
        bytes
    }
}

/// Receives the messages as replies, as datagrams and as a stream, and as quotations in ICMP errors. Each of `kinds` selects
/// one kind of requests.
pub fn receive_any_messages(kinds: [u8; 3], messages: &[AnyMessage]) {
    let content = [
        HeaderContent::Nothing,
        HeaderContent::ProcessingTime,
        HeaderContent::Counts,
        HeaderContent::Timing,
    ];
    let content = content[usize::from(kinds[0]) % content.len()];
    let form = if kinds[0] & 0x80 == 0 { ReplyForm::UpperCase } else { ReplyForm::Unchanged };
    let length = usize::from(u16::from_be_bytes([kinds[1], kinds[2]]) % MAX_LEN);
    let max_len = usize::from(MAX_LEN);
    let text = "a message \u{390} ".repeat(length / 14);
    for mut payload in [
        EchoPayload::of_size(length.max(EchoPayload::min_size(content)), content, form),
        EchoPayload::of_text(text.as_bytes(), Numbering::Numbered, content, form, max_len),
        EchoPayload::of_text(text.as_bytes(), Numbering::Unnumbered, content, form, max_len),
    ]
    .map(Payload::Echo)
    {
        payload.start_run(u32::from(kinds[2]));
        receive_as_errors(&mut payload, messages);
        for framing in [Framing::Datagrams, Framing::Stream] {
            receive(framing, &mut payload, messages);
        }
        if payload.needs_version1(2, ServerReport::None) {
            payload.use_version1_from(2);
            receive(Framing::Datagrams, &mut payload, messages);
        }
    }
}

fn receive(framing: Framing, payload: &mut Payload, messages: &[AnyMessage]) {
    let mut incoming = Vec::new();
    for message in messages {
        incoming.push((message.number_in_header.map(u64::from), message.bytes(payload)));
    }
    let mut channel = Channel::new(test_transport::of_messages(incoming), framing);
    for seq in 1..=u64::from(REQUESTS) {
        let sent = channel.send(seq, payload.request(seq), &AtomicBool::new(false));
        assert!(sent.is_ok(), "{sent:?}");
    }
    // One message of a stream can contain the replies to all requests.
    for _ in 0..=messages.len() + usize::from(REQUESTS) {
        let event = channel.receive(WaitUntil::Exact(Instant::now()), payload, Some(1));
        match event {
            Ok(ChannelEvent::Wrong { .. }) if framing == Framing::Stream => break,
            Ok(ChannelEvent::Reply(reply)) => {
                assert_eq!(Some(reply.bytes.len()), payload.reply_len());
            }
            // The channel waits for more bytes, so it stores less than one reply.
            Ok(ChannelEvent::Nothing) => {
                assert!(Some(channel.partial_reply_len()) <= payload.reply_len());
            }
            _ => {}
        }
    }
}

fn receive_as_errors(payload: &mut Payload, messages: &[AnyMessage]) {
    for message in messages {
        let icmp = IcmpError { is_v6: message.is_reply, kind: 3, code: 3, from: None };
        let error = NetworkError {
            icmp,
            errno: 111,
            request: message.number_in_header.map(u64::from),
            mtu: None,
            quoted_payload: message.bytes(payload),
        };
        Channel::request_of(&error, payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correct_and_truncated_messages_are_received() {
        let correct =
            AnyMessage { request: 1, is_reply: true, length: u16::MAX, ..Default::default() };
        for kind in 0..8 {
            let wrong = AnyMessage { request: 2, replacement: vec![0xFF; 3], ..correct.clone() };
            let short = AnyMessage { length: 100, ..correct.clone() };
            receive_any_messages([kind << 5 | kind, 1, kind], &[correct.clone(), wrong, short]);
            receive_any_messages([kind, 0, 0], &[]);
        }
    }

    #[test]
    fn bytes_after_empty_replies_are_received() {
        // The fuzz target found this input. Several replies are complete before the client reads the next bytes.
        let bytes = AnyMessage {
            replacement: vec![0xde, 0xc5, 0x89],
            length: u16::MAX,
            ..Default::default()
        };
        receive_any_messages([0, 0, 0], &[bytes.clone(), bytes]);
    }
}
