//! [`FilterInstruction`]: an instruction of a packet filter, for the kernel's classic BPF machine
//! (Documentation/networking/filter.rst).
#![cfg_attr(
    not(all(target_os = "linux", not(portable))),
    allow(
        dead_code,
        reason = "only the Linux implementation and tests use all fields and operations"
    )
)]

/// An instruction of a packet filter (`struct sock_filter`, include/uapi/linux/filter.h).
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterInstruction {
    /// One of the operations in [`opcode`].
    pub(crate) code: u16,
    /// The number of instructions to skip if a test is true.
    pub(crate) skip_if_true: u8,
    /// The number of instructions to skip if a test is false.
    pub(crate) skip_if_false: u8,
    pub(crate) operand: u32,
}

/// The operations.
pub(crate) mod opcode {
    // Load a word (4 bytes), a half word (2 bytes) or a byte of the packet. The operand is the offset.
    pub(crate) const LOAD_WORD: u16 = 0x20;
    pub(crate) const LOAD_HALF: u16 = 0x28;
    pub(crate) const LOAD_BYTE: u16 = 0x30;
    // The same, but the length of the IPv4 header is added to the offset. `LOAD_HEADER_LENGTH` must run first.
    pub(crate) const LOAD_HALF_AFTER_HEADER: u16 = 0x48;
    pub(crate) const LOAD_BYTE_AFTER_HEADER: u16 = 0x50;
    pub(crate) const LOAD_WORD_AFTER_HEADER: u16 = 0x40;
    pub(crate) const LOAD_HEADER_LENGTH: u16 = 0xb1;
    // Combine the loaded value with the operand.
    pub(crate) const AND: u16 = 0x54;
    // Compare the loaded value with the operand, and jump.
    pub(crate) const EQUALS: u16 = 0x15;
    pub(crate) const GREATER: u16 = 0x25;
    pub(crate) const HAS_ANY_BIT: u16 = 0x45;
    // End the program. The operand is the number of bytes of the packet that the kernel passes to the program.
    pub(crate) const RETURN: u16 = 0x06;
}

/// Runs `program` in the same way as the kernel. Returns whether it accepts the packet. The packet has the type 0: this
/// host receives it.
///
/// # Panics
///
/// The program contains an operation that is not in [`opcode`], or a jump beyond its end.
#[cfg(test)]
pub(crate) fn accepts(program: &[FilterInstruction], packet: &[u8]) -> bool {
    accepts_type(program, packet, 0)
}

/// Like [`accepts`], for a packet of this type (packet(7), `sll_pkttype`). A load at an offset of at least 2^31 returns
/// the type.
///
/// # Panics
///
/// See [`accepts`].
#[cfg(test)]
pub(crate) fn accepts_type(program: &[FilterInstruction], packet: &[u8], packet_type: u32) -> bool {
    use opcode::{
        AND, EQUALS, GREATER, HAS_ANY_BIT, LOAD_BYTE, LOAD_BYTE_AFTER_HEADER, LOAD_HALF,
        LOAD_HALF_AFTER_HEADER, LOAD_HEADER_LENGTH, LOAD_WORD, LOAD_WORD_AFTER_HEADER, RETURN,
    };
    let load = |from: u32, length: usize| -> Option<u32> {
        if from >= 1 << 31 {
            return Some(packet_type);
        }
        let bytes = packet.get(from as usize..)?.get(..length)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    };
    let (mut value, mut header, mut at) = (0_u32, 0_u32, 0_usize);
    loop {
        let FilterInstruction { code, skip_if_true, skip_if_false, operand } = program[at];
        at += 1;
        let is_true = match code {
            EQUALS => value == operand,
            GREATER => value > operand,
            HAS_ANY_BIT => value & operand != 0,
            RETURN => return operand > 0,
            _ => {
                let loaded = match code {
                    LOAD_WORD => load(operand, 4),
                    LOAD_HALF => load(operand, 2),
                    LOAD_BYTE => load(operand, 1),
                    LOAD_WORD_AFTER_HEADER => load(operand + header, 4),
                    LOAD_HALF_AFTER_HEADER => load(operand + header, 2),
                    LOAD_BYTE_AFTER_HEADER => load(operand + header, 1),
                    LOAD_HEADER_LENGTH => load(operand, 1).map(|byte| {
                        header = (byte & 15) * 4;
                        value
                    }),
                    AND => Some(value & operand),
                    code => panic!("unknown operation {code:#x}"),
                };
                // The kernel drops a packet that is too short for a load.
                let Some(loaded) = loaded else { return false };
                value = loaded;
                continue;
            }
        };
        at += usize::from(if is_true { skip_if_true } else { skip_if_false });
    }
}
