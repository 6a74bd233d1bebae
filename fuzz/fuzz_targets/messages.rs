//! Delivers random messages to the client: changed replies of echo servers and of other services, as datagrams and as a
//! stream, and quotations in ICMP errors.
//! In contrast to the target `replies`, no socket is used, so it executes more inputs per second.
//!
//! Run it with `cargo +nightly fuzz run messages`.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rtt_client::{AnyMessage, receive_any_messages, receive_any_service_messages};

#[derive(Arbitrary, Debug)]
struct Message {
    request: u8,
    is_reply: bool,
    replacement: Vec<u8>,
    position: u16,
    length: Option<u16>,
    number_in_header: Option<u8>,
}

fuzz_target!(|input: ([u8; 3], Vec<Message>)| {
    let (kinds, messages) = input;
    let messages: Vec<AnyMessage> = messages
        .into_iter()
        .map(|message| AnyMessage {
            request: message.request % 4,
            is_reply: message.is_reply,
            replacement: message.replacement,
            position: message.position % 256,
            length: message.length.unwrap_or(u16::MAX),
            number_in_header: message.number_in_header,
        })
        .collect();
    receive_any_messages(kinds, &messages);
    receive_any_service_messages(&messages);
});
