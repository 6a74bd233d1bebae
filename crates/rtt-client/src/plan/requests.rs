//! The requests that settings select, and the checks that the protocol can carry them and their replies.

use super::{
    Content, CustomRequest, DEFAULT_REQUEST_LEN, EchoForm, MessagePart, PlanError, Settings,
};
use crate::model::protocol::{Framing, Protocol, ReplyForm, Responder};
use crate::model::service::{ReplyEnd, ReplyRule, ReplyStart, Service};
use crate::model::target::Target;
use crate::plan::payload::{
    EchoPayload, ExpectedForm, HeaderContent, Numbering, Payload, ServicePayload,
};

/// The requests that the settings select, if the protocol can carry them and their replies.
pub(super) fn payload(
    protocol: &'static Protocol,
    target: &Target,
    settings: &Settings,
) -> Result<Payload, PlanError> {
    let form = expected_form(protocol, settings.echo)?;
    // Only the replies to later requests contain evidence about a lost request. A stream retransmits what is lost.
    // The user's message stays the only text of a request.
    let can_locate_losses = settings.count != Some(1)
        && protocol.framing == Framing::Datagrams
        && matches!(settings.content, Content::Sized(_));
    let header = match settings {
        Settings { breakdown: true, .. } => HeaderContent::Timing,
        Settings { locate_losses: true, .. } if can_locate_losses => HeaderContent::Counts,
        _ => HeaderContent::Nothing,
    };
    let header = header.for_replies(protocol, form);
    let max = protocol.max_message_len;
    let payload = match &settings.content {
        Content::Message(text) if text.is_empty() && !protocol.allows_empty_message => {
            return Err(PlanError::EmptyMessage { protocol: protocol.title });
        }
        Content::Message(text) => {
            EchoPayload::of_text(text, Numbering::Unnumbered, header, form, max)
        }
        Content::Numbered(text) => {
            EchoPayload::of_text(text, Numbering::Numbered, header, form, max)
        }
        // The requests and the replies are empty. The transport identifies each exchange by its socket.
        Content::Handshake => EchoPayload::of_text(b"", Numbering::Unnumbered, header, form, max),
        Content::Sized(size) => {
            let size = size.unwrap_or(DEFAULT_REQUEST_LEN);
            let min = EchoPayload::min_size(header);
            if size < min {
                let timed = header == HeaderContent::Timing;
                return Err(PlanError::TooShort { size, min, timed });
            }
            check_len(MessagePart::Request, size, protocol)?;
            EchoPayload::of_size(size, header, form)
        }
        Content::Request(request) => {
            return Ok(Payload::Service(custom_payload(protocol, request)?));
        }
        Content::Service(name) => {
            let service = service_named(name, protocol)?;
            let host = authority(target, service);
            let framing = protocol.framing;
            return Ok(Payload::Service(ServicePayload::of_service(service, &host, max, framing)));
        }
    };
    check_len(MessagePart::Request, payload.request_len(), protocol)?;
    check_len(MessagePart::Reply, payload.reply_len(), protocol)?;
    Ok(payload.into())
}

/// The service of `protocol` with this name.
pub(super) fn service_named(
    name: &str,
    protocol: &'static Protocol,
) -> Result<&'static Service, PlanError> {
    let services = protocol.services;
    services.iter().find(|service| service.name == name).ok_or_else(|| {
        let names = services.iter().map(|service| service.name);
        let (name, protocol) = (name.to_owned(), protocol.title);
        PlanError::UnknownService { name, protocol, known: names.collect::<Vec<_>>().join(", ") }
    })
}

/// The form of correct replies that the settings select.
fn expected_form(protocol: &Protocol, echo: EchoForm) -> Result<ExpectedForm, PlanError> {
    match (protocol.responder, echo) {
        (Responder::Kernel, EchoForm::Upper) if protocol.reply_form == ReplyForm::Unchanged => {
            Err(PlanError::NoUpperCase { protocol: protocol.title })
        }
        (Responder::Kernel | Responder::KernelOfServer, _) => Ok(protocol.reply_form.into()),
        (Responder::Program(_), EchoForm::Upper) => Ok(ReplyForm::UpperCase.into()),
        (Responder::Program(_), EchoForm::Same) => Ok(ReplyForm::Unchanged.into()),
        (Responder::Program(_), EchoForm::Auto) => Ok(ExpectedForm::OfFirstReply),
    }
}

/// The host and the port of the target, in the form of a URL. Without the port if it is the service's own port.
fn authority(target: &Target, service: &Service) -> String {
    let port = target.port.filter(|port| *port != service.port);
    let target = Target { protocol: None, port, ..target.clone() };
    match target.to_string() {
        host if port.is_none() && host.contains(':') => format!("[{host}]"),
        authority => authority,
    }
}

/// The requests of the user to a service.
fn custom_payload(
    protocol: &'static Protocol,
    request: &CustomRequest,
) -> Result<ServicePayload, PlanError> {
    let CustomRequest { bytes, reply } = request;
    if !protocol.program_replies() {
        return Err(PlanError::NoServerProgram { protocol: protocol.title });
    }
    let can_be_greeting = protocol.framing == Framing::Stream;
    if bytes.is_empty() && !protocol.allows_empty_message && !can_be_greeting {
        return Err(PlanError::EmptyMessage { protocol: protocol.title });
    }
    let max = protocol.max_message_len;
    check_len(MessagePart::Request, bytes.len(), protocol)?;
    check_reply_rule(reply, protocol)?;
    Ok(ServicePayload::of_user(bytes, reply.clone(), max, protocol.framing))
}

fn check_reply_rule(rule: &ReplyRule, protocol: &'static Protocol) -> Result<(), PlanError> {
    let start_len = match &rule.start {
        ReplyStart::Text(text) => text.len(),
        ReplyStart::Bits { position, .. } => position + 1,
    };
    check_len(MessagePart::Reply, start_len, protocol)?;
    match &rule.end {
        ReplyEnd::FirstBytes => Ok(()),
        ReplyEnd::Text(text) if text.is_empty() => Err(PlanError::EmptyReplyEnd),
        ReplyEnd::Text(text) => check_len(MessagePart::Reply, text.len(), protocol),
        ReplyEnd::Length(0) => Err(PlanError::EmptyReplyEnd),
        ReplyEnd::Length(len) if *len < start_len => {
            Err(PlanError::StartLongerThanReply { start: start_len, reply: *len })
        }
        ReplyEnd::Length(len) => check_len(MessagePart::Reply, *len, protocol),
    }
}

fn check_len(part: MessagePart, len: usize, protocol: &'static Protocol) -> Result<(), PlanError> {
    let max = protocol.max_message_len;
    if len > max {
        return Err(PlanError::TooLong { part, len, protocol: protocol.title, max });
    }
    Ok(())
}
