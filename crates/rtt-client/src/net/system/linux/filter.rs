//! A packet filter on a socket (`SO_ATTACH_FILTER`, socket(7)): the kernel drops the packets that the filter rejects.

use crate::net::socket::{OperationError, set_option};
use crate::net::system::packet_filter::FilterInstruction;
use socket2::{SockFilter, Socket};

/// Attaches a packet filter to `socket`. It replaces an earlier filter.
pub(crate) fn attach_filter(
    socket: &Socket,
    program: &[FilterInstruction],
) -> Result<(), OperationError> {
    let program = socket_filter(program);
    let instructions = program.len();
    set_option("SO_ATTACH_FILTER", instructions, || socket.attach_filter(&program))
}

/// Converts a filter to the type of the system call.
pub(super) fn socket_filter(program: &[FilterInstruction]) -> Vec<SockFilter> {
    let convert = |instruction: &FilterInstruction| {
        let FilterInstruction { code, skip_if_true, skip_if_false, operand } = *instruction;
        SockFilter::new(code, skip_if_true, skip_if_false, operand)
    };
    program.iter().map(convert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::system::packet_filter::opcode::{EQUALS, LOAD_BYTE, RETURN};
    use std::net::UdpSocket;

    #[test]
    fn rejected_packets_do_not_reach_the_socket() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        // The filter loads the byte after the UDP header. It accepts the packet if this byte is `b`.
        let instruction = |code, skip_if_false, operand| FilterInstruction {
            code,
            skip_if_true: 0,
            skip_if_false,
            operand,
        };
        let program = [
            instruction(LOAD_BYTE, 0, 8),
            instruction(EQUALS, 1, u32::from(b'b')),
            instruction(RETURN, 0, u32::MAX),
            instruction(RETURN, 0, 0),
        ];
        let socket = Socket::from(receiver.try_clone().unwrap());
        attach_filter(&socket, &program).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for text in ["a", "b"] {
            sender.send_to(text.as_bytes(), receiver.local_addr().unwrap()).unwrap();
        }
        let mut buffer = [0; 8];
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 1);
        assert_eq!(buffer[0], b'b');
    }
}
