//! pcapng, the newer capture file format (draft-ietf-opsawg-pcapng), with a [`reader`] and a [`writer`].
//!
//! A file is a sequence of blocks. Each block has this structure:
//!
//! ```text
//! +----------------------+
//! | block type           |  4 bytes
//! | length of the block  |  4 bytes: all fields, from the type to the second length
//! | body                 |  fixed fields, then data, then options
//! | length of the block  |  4 bytes again, so that a program can move backwards through the file
//! +----------------------+
//! ```
//!
//! Data and option values are padded to a multiple of 4 bytes. An option is a code (2 bytes), the length
//! of the value (2 bytes) and the value. The code 0 ends the options.
//!
//! These block types are used. An interface description comes before the packets of its interface:
//!
//! - A **section header** begins a section. Its byte-order magic defines the byte order of all integers in
//!   the section. A file can have several sections.
//! - An **interface description** contains the link type and the resolution of the times. The first interface
//!   of a section has the number 0, the next has 1. The block does not contain this number.
//! - An **enhanced packet** contains the number of its interface, the time, the captured and the original
//!   length of the packet, the bytes, and options. A comment is an option.
//! - A **simple packet** contains only the original length and the bytes.
//! - An **obsolete packet** has almost the same fields as an enhanced packet.
//! - **Interface statistics** contain the number of packets that an interface dropped.
//!
//! A reader skips blocks of all other types.
//!
//! The documentation of [`crate::capture::file`] states why no library is used.

pub(super) mod reader;
pub(super) mod writer;

/// The block type of a section header. Its bytes are the same in both byte orders.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
/// The first bytes of a pcapng file.
pub(super) const SECTION_HEADER_BYTES: [u8; 4] = SECTION_HEADER.to_be_bytes();

/// The other block types.
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// The total length of the type and the two length fields of a block, in bytes.
const BLOCK_OVERHEAD: usize = 12;

/// The byte-order magic in a section header. Its bytes show the byte order of the section.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// `opt_endofopt`: ends the options of a block.
const OPTION_END: u16 = 0;
/// `opt_comment`: a comment, in any block.
const OPTION_COMMENT: u16 = 1;
/// `shb_userappl`: the program that wrote the section.
const OPTION_APPLICATION: u16 = 4;
/// `if_name`, `if_description`, `if_tsresol`: an interface's name, description and time resolution.
const OPTION_INTERFACE_NAME: u16 = 2;
const OPTION_INTERFACE_DESCRIPTION: u16 = 3;
const OPTION_TIME_RESOLUTION: u16 = 9;
/// `isb_ifdrop`: the number of packets that the interface dropped.
const OPTION_DROPPED: u16 = 5;
