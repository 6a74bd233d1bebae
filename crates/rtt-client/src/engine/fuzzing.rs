//! Entry point for the fuzz target `messages`: a server sends any messages to the client. The target uses no socket.

use super::channel::{Channel, ChannelEvent};
use super::test_transport;
use crate::model::icmp::IcmpError;
use crate::model::protocol::{Framing, ReplyForm};
use crate::model::service::{Identifier, ReplyEnd, ReplyRule, ReplyStart};
use crate::net::system::{NetworkError, WaitUntil};
use crate::plan::payload::{
    EchoPayload, HeaderContent, Numbering, Payload, ServerReport, ServicePayload,
};
use crate::protocol::registry::PROTOCOLS;
use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// The number of requests in flight.
const REQUESTS: u8 = 3;

/// The largest length of a request of this test, in bytes.
const MAX_LEN: u16 = 2000;

/// A user's request.
const REQUEST: &[u8] = b"request\r\n";

/// A message of the simulated server: the correct reply to a request, or the bytes of a request, with any changes.
#[derive(Debug, Clone, Default)]
pub struct AnyMessage {
    /// The message begins as the bytes of this request.
    pub request: u8,
    /// The message begins as the correct reply.
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
    fn bytes(&self, payload: &mut Payload, correct: &CorrectReply) -> Vec<u8> {
        let mut bytes = payload.request(self.request.into()).to_vec();
        if self.is_reply {
            bytes = correct.to_request(bytes);
        }
        let start = usize::from(self.position).min(bytes.len());
        let end = (start + self.replacement.len()).min(bytes.len());
        bytes.splice(start..end, self.replacement.iter().copied());
        bytes.truncate(self.length.into());
        bytes
    }
}

/// How a simulated server creates the correct reply to a request.
#[derive(Clone)]
enum CorrectReply {
    UpperCase,
    OfService(ReplyRule, Option<Identifier>),
}

impl CorrectReply {
    fn to_request(&self, mut request: Vec<u8>) -> Vec<u8> {
        let (rule, identifier) = match self {
            Self::UpperCase => return echo_core::uppercase_slice(&mut request).into_owned(),
            Self::OfService(rule, identifier) => (rule, identifier),
        };
        let mut reply = match &rule.start {
            ReplyStart::Text(text) => text.to_vec(),
            ReplyStart::Bits { position, value, .. } => {
                let mut bytes = vec![0; position + 1];
                bytes[*position] = *value;
                bytes
            }
        };
        if let Some(identifier) = identifier {
            reply.resize(reply.len().max(identifier.reply.end), 0);
            reply[identifier.reply.clone()].copy_from_slice(&request[identifier.request.clone()]);
        }
        match &rule.end {
            ReplyEnd::FirstBytes => {}
            ReplyEnd::Text(text) => reply.extend_from_slice(text),
            ReplyEnd::Length(len) => reply.resize(*len, 0),
        }
        reply
    }
}

/// Requests to each predefined service, and requests of a user.
fn services() -> Vec<(Framing, Payload, CorrectReply)> {
    let mut all = Vec::new();
    for protocol in PROTOCOLS {
        for service in protocol.services {
            let framing = protocol.framing;
            let payload = ServicePayload::of_service(service, "host:1", MAX_LEN.into(), framing);
            let correct =
                CorrectReply::OfService(service.reply.clone(), service.identifier.clone());
            all.push((framing, Payload::Service(payload), correct));
        }
    }
    let text = |text: &'static str| Cow::Borrowed(text.as_bytes());
    let start = ReplyStart::Text(text("OK "));
    for end in [ReplyEnd::FirstBytes, ReplyEnd::Text(text("\r\n")), ReplyEnd::Length(7)] {
        let rule = ReplyRule { start: start.clone(), end };
        for framing in [Framing::Datagrams, Framing::Stream] {
            let payload = ServicePayload::of_user(REQUEST, rule.clone(), MAX_LEN.into(), framing);
            let correct = CorrectReply::OfService(rule.clone(), None);
            all.push((framing, Payload::Service(payload), correct));
        }
    }
    all
}

/// Receives the messages as replies of services, and as quotations in ICMP errors.
pub fn receive_any_service_messages(messages: &[AnyMessage]) {
    for (framing, mut payload, correct) in services() {
        payload.start_run(1);
        receive_as_errors(&mut payload, &correct, messages);
        receive(framing, &mut payload, &correct, messages);
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
        let correct = CorrectReply::UpperCase;
        receive_as_errors(&mut payload, &correct, messages);
        for framing in [Framing::Datagrams, Framing::Stream] {
            receive(framing, &mut payload, &correct, messages);
        }
        if payload.needs_version1(2, ServerReport::None) {
            payload.use_version1_from(2);
            receive(Framing::Datagrams, &mut payload, &correct, messages);
        }
    }
}

/// Delivers the messages as replies to a few requests. Returns the number of correct replies.
fn receive(
    framing: Framing,
    payload: &mut Payload,
    correct: &CorrectReply,
    messages: &[AnyMessage],
) -> u64 {
    let mut incoming = Vec::new();
    for seq in 1..=u64::from(REQUESTS) {
        payload.request(seq);
    }
    for message in messages {
        incoming.push((message.number_in_header.map(u64::from), message.bytes(payload, correct)));
    }
    let mut replies = 0;
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
                if let Some(len) = payload.reply_len() {
                    assert_eq!(reply.bytes.len(), len);
                }
                replies += 1;
            }
            // The channel waits for more bytes, so it stores less than one reply.
            Ok(ChannelEvent::Nothing) => {
                let max = payload.reply_len().unwrap_or(MAX_LEN.into());
                assert!(channel.partial_reply_len() <= max);
            }
            _ => {}
        }
    }
    replies
}

fn receive_as_errors(payload: &mut Payload, correct: &CorrectReply, messages: &[AnyMessage]) {
    for message in messages {
        let icmp = IcmpError { is_v6: message.is_reply, kind: 3, code: 3, from: None };
        let error = NetworkError {
            icmp,
            errno: 111,
            request: message.number_in_header.map(u64::from),
            mtu: None,
            quoted_payload: message.bytes(payload, correct),
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
            let messages = [correct.clone(), wrong, short];
            receive_any_messages([kind << 5 | kind, 1, kind], &messages);
            receive_any_messages([kind, 0, 0], &[]);
            receive_any_service_messages(&messages);
        }
    }

    #[test]
    fn correct_messages_of_services_are_replies() {
        let correct =
            AnyMessage { request: 1, is_reply: true, length: u16::MAX, ..Default::default() };
        for (framing, mut payload, reply) in services() {
            payload.start_run(1);
            let messages = std::slice::from_ref(&correct);
            assert_eq!(receive(framing, &mut payload, &reply, messages), 1, "{payload:?}");
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
