//! The packets of ICMP echo. Each request and each reply is one message.

mod flow;

use super::facts::{ECHO_V4, ECHO_V6, EchoTypes, FACTS, HEADER_LEN, IDENTIFIER};
use crate::capture::dissector::{Dissector, FlowState, IpPayload, Ports, u16_at};
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::flow::FlowSide;
use crate::model::headers::ICMPV6;
use crate::model::protocol::Protocol;
use flow::EchoFlow;

/// The dissector of ICMP echo.
pub(crate) const DISSECTOR: Option<&dyn Dissector> = Some(&Echo);

struct Echo;

impl Dissector for Echo {
    fn protocol(&self) -> &'static Protocol {
        &FACTS
    }

    /// The identifier takes the place of the client's port.
    fn ports(&self, packet: IpPayload<'_>) -> Option<Ports> {
        let EchoTypes { request, reply } =
            if packet.ip_protocol == ICMPV6 { ECHO_V6 } else { ECHO_V4 };
        let identifier = u16_at(packet.bytes, IDENTIFIER.into())?;
        let [kind, 0, ..] = *packet.bytes else { return None };
        if kind == request {
            Some(Ports { source: identifier, destination: 0 })
        } else if kind == reply {
            Some(Ports { source: 0, destination: identifier })
        } else {
            None
        }
    }

    fn header_len(&self, packet: IpPayload<'_>) -> Option<usize> {
        (packet.bytes.len() >= HEADER_LEN).then_some(HEADER_LEN)
    }

    /// The type of the message shows its sender.
    fn sender_of(&self, header: &[u8]) -> Option<FlowSide> {
        let kind = header.first()?;
        if [ECHO_V4.reply, ECHO_V6.reply].contains(kind) {
            Some(FlowSide::Server)
        } else {
            [ECHO_V4.request, ECHO_V6.request].contains(kind).then_some(FlowSide::Client)
        }
    }

    fn new_flow(&self, _: Option<MessageLengths>) -> Box<dyn FlowState> {
        Box::new(EchoFlow::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::headers::ICMP;

    fn header(kind: u8, sequence: u8) -> [u8; HEADER_LEN] {
        [kind, 0, 0, 0, 0x12, 0x34, 0, sequence]
    }

    #[test]
    fn identifier_is_the_port_of_the_client() {
        for (ip_protocol, EchoTypes { request, reply }) in [(ICMP, ECHO_V4), (ICMPV6, ECHO_V6)] {
            let ports = |bytes: &[u8]| Echo.ports(IpPayload { ip_protocol, bytes });
            let from_client = Some(Ports { source: 0x1234, destination: 0 });
            let from_server = Some(Ports { source: 0, destination: 0x1234 });
            assert_eq!(ports(&header(request, 1)), from_client);
            assert_eq!(ports(&header(reply, 1)), from_server);
            // An ICMP error can quote a header that is cut off after the identifier.
            assert_eq!(ports(&header(request, 1)[..6]), from_client);
            assert_eq!(ports(&header(request, 1)[..5]), None);
            assert_eq!(ports(&[]), None);
            for other in [3, 13, 133, 135] {
                assert_eq!(ports(&header(other, 1)), None, "type {other}");
            }
        }
        // The types of one version have no meaning in the other version.
        let v6_in_v4 = IpPayload { ip_protocol: ICMP, bytes: &header(ECHO_V6.request, 1) };
        assert_eq!(Echo.ports(v6_in_v4), None);
    }

    #[test]
    fn flow_that_starts_with_a_reply_has_the_receiver_as_its_client() {
        assert_eq!(Echo.sender_of(&header(ECHO_V4.reply, 1)), Some(FlowSide::Server));
        assert_eq!(Echo.sender_of(&header(ECHO_V6.reply, 1)), Some(FlowSide::Server));
        assert_eq!(Echo.sender_of(&header(ECHO_V6.request, 1)), Some(FlowSide::Client));
        assert_eq!(Echo.sender_of(&[]), None);
    }
}
