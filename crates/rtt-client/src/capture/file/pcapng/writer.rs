//! Writes a pcapng file of one section. Its times have a resolution of one nanosecond.

use super::{
    BLOCK_OVERHEAD, BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS,
    OPTION_APPLICATION, OPTION_COMMENT, OPTION_DROPPED, OPTION_END, OPTION_INTERFACE_DESCRIPTION,
    OPTION_INTERFACE_NAME, OPTION_TIME_RESOLUTION, SECTION_HEADER,
};
use crate::capture::file::{CapturedPacket, LinkType, MAX_PACKET_BYTES};
use std::io::{self, Write};
use std::time::Duration;

/// The time resolution of the file: 10^-9 s. The constant is the exponent without its sign.
const TIME_RESOLUTION: u8 = 9;

/// An interface on which packets were captured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InterfaceDescription<'a> {
    pub(crate) link_type: LinkType,
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
}

/// Writes the blocks of a file. The caller writes all interfaces, then all packets, then calls
/// [`Writer::finish`].
#[derive(Debug)]
pub(crate) struct Writer<Out> {
    out: Out,
}

impl<Out: Write> Writer<Out> {
    /// Writes the section header. `application` is the name and the version of the writing program.
    pub(crate) fn new(out: Out, application: &str) -> io::Result<Self> {
        let mut writer = Self { out };
        let mut body = Vec::new();
        body.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        // Version 1.0 of the format, as two 16-bit numbers.
        body.extend([1, 0, 0, 0]);
        // The length of the section. -1 means "not known".
        body.extend([0xff; 8]);
        push_option(&mut body, OPTION_APPLICATION, application.as_bytes());
        push_option(&mut body, OPTION_END, &[]);
        writer.write_block(SECTION_HEADER, &body)?;
        Ok(writer)
    }

    /// Writes the description of the next interface. The first interface has index 0.
    pub(crate) fn write_interface(
        &mut self,
        interface: &InterfaceDescription<'_>,
    ) -> io::Result<()> {
        let mut body = Vec::new();
        let link_type = u16::try_from(interface.link_type.number()).unwrap_or(u16::MAX);
        body.extend(link_type.to_le_bytes());
        // Reserved by the format.
        body.extend([0, 0]);
        body.extend(length_field(MAX_PACKET_BYTES));
        push_option(&mut body, OPTION_INTERFACE_NAME, interface.name.as_bytes());
        push_option(&mut body, OPTION_INTERFACE_DESCRIPTION, interface.description.as_bytes());
        push_option(&mut body, OPTION_TIME_RESOLUTION, &[TIME_RESOLUTION]);
        push_option(&mut body, OPTION_END, &[]);
        self.write_block(INTERFACE_DESCRIPTION, &body)
    }

    /// Writes a packet with a comment.
    pub(crate) fn write_packet(
        &mut self,
        packet: &CapturedPacket,
        comment: &str,
    ) -> io::Result<()> {
        let mut body = Vec::new();
        body.extend(length_field(packet.interface));
        body.extend(time_field(packet.time));
        body.extend(length_field(packet.bytes.len()));
        body.extend(length_field(packet.original_length));
        body.extend(&packet.bytes);
        pad(&mut body);
        push_option(&mut body, OPTION_COMMENT, comment.as_bytes());
        push_option(&mut body, OPTION_END, &[]);
        self.write_block(ENHANCED_PACKET, &body)
    }

    /// Writes the statistics if `dropped` is known, and flushes the file. `dropped` is the number of packets
    /// that the capture lost. `time` is the time of the statistics since 1970-01-01 00:00 UTC.
    pub(crate) fn finish(mut self, dropped: Option<u64>, time: Duration) -> io::Result<()> {
        if let Some(dropped) = dropped {
            // The first interface, with index 0, contains the number for all interfaces.
            let mut body = length_field(0).to_vec();
            body.extend(time_field(time));
            push_option(&mut body, OPTION_DROPPED, &dropped.to_le_bytes());
            push_option(&mut body, OPTION_END, &[]);
            self.write_block(INTERFACE_STATISTICS, &body)?;
        }
        self.out.flush()
    }

    fn write_block(&mut self, block_type: u32, body: &[u8]) -> io::Result<()> {
        let length = length_field(BLOCK_OVERHEAD + body.len());
        self.out.write_all(&block_type.to_le_bytes())?;
        self.out.write_all(&length)?;
        self.out.write_all(body)?;
        self.out.write_all(&length)
    }
}

fn length_field(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// A time in nanoseconds as two 32-bit numbers. The upper 32 bits come first.
fn time_field(time: Duration) -> [u8; 8] {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    nanoseconds.rotate_left(32).to_le_bytes()
}

fn push_option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    // The length field of an option has 16 bits.
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    body.extend(value);
    pad(body);
}

/// Adds zeros up to a multiple of 4 bytes.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}
