//! The line of a protocol: its facts.

use crate::model::protocol::{Framing, Protocol, Responder};
use crate::model::service::{ReplyStart, Service};
use serde::Serialize;

/// The facts about a protocol.
#[derive(Serialize)]
pub(super) struct ProtocolLine {
    name: &'static str,
    title: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_port: Option<u16>,
    /// `program` or `kernel`.
    responder: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'static str>,
    /// `upper` or `same`.
    reply: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    services: Vec<ServiceFields>,
    phases: Vec<&'static str>,
    /// `datagrams` or `stream`.
    framing: &'static str,
    ordered: bool,
    reliable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_statistics: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_protocol: Option<IpProtocol>,
    traceable: bool,
    max_message_bytes: usize,
}

/// The protocol numbers in the IP header.
#[derive(Serialize)]
struct IpProtocol {
    v4: u8,
    v6: u8,
}

/// A predefined service.
#[derive(Serialize)]
struct ServiceFields {
    name: &'static str,
    title: &'static str,
    port: u16,
    /// A description of the request.
    request: &'static str,
    /// The beginning of a correct reply. Absent if it is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_starts: Option<String>,
    source: &'static str,
}

impl From<&Service> for ServiceFields {
    fn from(service: &Service) -> Self {
        let Service { name, title, port, about, source, .. } = *service;
        let reply_starts = match &service.reply.start {
            ReplyStart::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            ReplyStart::Bits { .. } => None,
        };
        Self { name, title, port, request: about, reply_starts, source }
    }
}

impl From<&Protocol> for ProtocolLine {
    fn from(protocol: &Protocol) -> Self {
        Self {
            name: protocol.name,
            title: protocol.title,
            default_port: protocol.default_port,
            responder: match protocol.responder {
                Responder::Program(_) => "program",
                Responder::Kernel => "kernel",
                Responder::KernelOfServer => "kernel-of-server",
            },
            server: protocol.our_server(),
            reply: protocol.reply_form.name(),
            services: protocol.services.iter().map(ServiceFields::from).collect(),
            phases: protocol.phases.iter().map(|phase| phase.name).collect(),
            framing: match protocol.framing {
                Framing::Datagrams => "datagrams",
                Framing::Stream => "stream",
            },
            ordered: protocol.is_ordered,
            reliable: protocol.is_reliable,
            kernel_statistics: protocol.kernel_statistics,
            ip_protocol: protocol
                .ip_numbers
                .map(|numbers| IpProtocol { v4: numbers.v4, v6: numbers.v6 }),
            traceable: protocol.ip_numbers.is_some(),
            max_message_bytes: protocol.max_message_len,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::protocol::ReplyForm;
    use crate::model::protocol::{EXAMPLE, Phase};

    #[test]
    fn absent_facts_have_no_field() {
        let protocol = Protocol {
            default_port: None,
            responder: Responder::Kernel,
            reply_form: ReplyForm::Unchanged,
            phases: &[
                Phase { name: "handshake", end: "connection established" },
                Phase { name: "key exchange", end: "keys exchanged" },
            ],
            ..EXAMPLE
        };
        let json = serde_json::to_string(&ProtocolLine::from(&protocol)).unwrap();
        let expected = "{\"name\":\"example\",\"title\":\"Example\",\"responder\":\"kernel\",\"reply\":\"same\",\
                        \"phases\":[\"handshake\",\"key exchange\"],\"framing\":\"datagrams\",\"ordered\":false,\
                        \"reliable\":false,\"traceable\":false,\"max_message_bytes\":1000}";
        assert_eq!(json, expected);
    }
}
