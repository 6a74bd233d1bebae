//! The newer format: sections of blocks, each with its length at both ends.

use super::{
    CapturedPacket, FileContents, LONGEST_BLOCK, LONGEST_PACKET, LinkType, MOST_INTERFACES, Order,
    piece,
};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::Duration;

/// The types of blocks that mean something here.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const SECTION_TYPE: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// A section's byte-order magic.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Options: of any block, of a section, of an interface, of statistics.
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
const NAME: u16 = 2;
const DESCRIPTION: u16 = 3;
const RESOLUTION: u16 = 9;
const DROPPED: u16 = 5;

/// Nanoseconds, as a power of ten.
const NANOSECONDS: u8 = 9;

/// An interface of a section.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: LinkType,
    /// How many units of its times make a second.
    units: u64,
    /// How much of a packet was captured.
    snapshot: usize,
}

/// Reads all packets of all sections, the first section's type having been read; an error says why not all.
pub(super) fn read(file: &mut dyn Read, contents: &mut FileContents) -> Result<(), String> {
    let mut order = Order::Little;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut statistics: BTreeMap<u32, u64> = BTreeMap::new();
    let mut kind = Some(SECTION.to_vec());
    while let Some(head) = kind {
        let length = piece(file, 4)?.ok_or("a block breaks off")?;
        let is_section = head == SECTION;
        let mut magic = Vec::new();
        if is_section {
            // Its byte order is behind the length, which is in that order.
            magic = piece(file, 4)?.ok_or("a section breaks off")?;
            order = match u32::from_be_bytes(*magic.first_chunk().ok_or("a section breaks off")?) {
                BYTE_ORDER => Order::Big,
                0x4d3c_2b1a => Order::Little,
                _ => return Err("a section has no byte order".into()),
            };
            interfaces.clear();
        }
        let length = order.length(&length, 0).unwrap_or(usize::MAX);
        let overhead = 12 + magic.len();
        if length < overhead || length > LONGEST_BLOCK || !length.is_multiple_of(4) {
            return Err(format!("a block of {length} bytes is none"));
        }
        let body = match length - overhead {
            0 => Vec::new(),
            rest => piece(file, rest)?.ok_or("a block breaks off")?,
        };
        let trailer = piece(file, 4)?.ok_or("a block breaks off")?;
        if order.length(&trailer, 0) != Some(length) {
            return Err("a block's two lengths are not the same".into());
        }
        match order.u32(&head, 0) {
            Some(INTERFACE) if interfaces.len() == MOST_INTERFACES => {
                return Err("it has more interfaces than a host".into());
            }
            Some(INTERFACE) => {
                interfaces.push(interface(order, &body).ok_or("an interface breaks off")?);
            }
            Some(ENHANCED_PACKET) => {
                let packet = enhanced(order, &body, &interfaces)
                    .ok_or("a packet breaks off, or is of no interface")?;
                contents.keep(packet)?;
            }
            // What came before the enhanced kind: two numbers share the first word.
            Some(OLD_PACKET) => {
                let mut newer = body;
                let which = u32::from(order.u16(&newer, 0).ok_or("a packet breaks off")?);
                let word = match order {
                    Order::Little => which.to_le_bytes(),
                    Order::Big => which.to_be_bytes(),
                };
                newer[..4].copy_from_slice(&word);
                let packet = enhanced(order, &newer, &interfaces).ok_or("a packet breaks off")?;
                contents.keep(packet)?;
            }
            Some(SIMPLE_PACKET) => {
                contents.untimed += 1;
                let packet = simple(order, &body, &interfaces).ok_or("a packet breaks off")?;
                contents.keep(packet)?;
            }
            Some(STATISTICS) => {
                let dropped = option(order, body.get(12..).unwrap_or_default(), DROPPED);
                let dropped = dropped.and_then(|bytes| whole(order, bytes)).unwrap_or(0);
                // They count from the beginning, so that of one interface the last are all.
                let which = order.u32(&body, 0).unwrap_or(0);
                statistics.insert(which, dropped);
                contents.lost =
                    Some(statistics.values().fold(0, |all, of| all.saturating_add(*of)));
            }
            // A section's beginning is read; what is not known can be left out: that is what lengths are for.
            _ => {}
        }
        kind = piece(file, 4)?;
    }
    Ok(())
}

fn interface(order: Order, body: &[u8]) -> Option<Interface> {
    let link = LinkType::of(order.u16(body, 0)?.into());
    let snapshot = match order.length(body, 4)? {
        0 => LONGEST_PACKET,
        snapshot => snapshot,
    };
    let resolution = option(order, body.get(8..)?, RESOLUTION).and_then(|value| value.first());
    let units = match resolution.copied().unwrap_or(6) {
        // A power of two, or of ten; finer than a nanosecond's thousandth is no clock's.
        power @ 0x80.. => 1_u64.checked_shl(u32::from(power & 0x7f)),
        power => 10_u64.checked_pow(power.into()),
    };
    Some(Interface { link, units: units?, snapshot })
}

fn enhanced(order: Order, body: &[u8], interfaces: &[Interface]) -> Option<CapturedPacket> {
    let interface = interfaces.get(order.length(body, 0)?)?;
    let (high, low) = (order.u32(body, 4)?, order.u32(body, 8)?);
    let units = u64::from(high) << 32 | u64::from(low);
    let nanoseconds = u128::from(units % interface.units) * 1_000_000_000;
    let nanoseconds = nanoseconds / u128::from(interface.units);
    let time = Duration::new(units / interface.units, u32::try_from(nanoseconds).ok()?);
    let (captured, original) = (order.length(body, 12)?, order.length(body, 16)?);
    if captured > LONGEST_PACKET {
        return None;
    }
    let bytes = body.get(20..)?.get(..captured)?.to_vec();
    let which = order.length(body, 0)?;
    Some(CapturedPacket { time, original, bytes, link: interface.link, interface: which })
}

fn simple(order: Order, body: &[u8], interfaces: &[Interface]) -> Option<CapturedPacket> {
    let interface = interfaces.first()?;
    let original = order.length(body, 0)?;
    let captured = original.min(interface.snapshot).min(body.len().checked_sub(4)?);
    if captured > LONGEST_PACKET {
        return None;
    }
    let bytes = body.get(4..)?.get(..captured)?.to_vec();
    // It has no time.
    Some(CapturedPacket {
        time: Duration::ZERO,
        original,
        bytes,
        link: interface.link,
        interface: 0,
    })
}

/// The first option of that code.
fn option(order: Order, mut options: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (code, length) = (order.u16(options, 0)?, usize::from(order.u16(options, 2)?));
        if code == 0 {
            return None;
        }
        let value = options.get(4..)?.get(..length)?;
        if code == wanted {
            return Some(value);
        }
        options = options.get(4 + length.next_multiple_of(4)..)?;
    }
}

fn whole(order: Order, bytes: &[u8]) -> Option<u64> {
    let (first, second) = (u64::from(order.u32(bytes, 0)?), u64::from(order.u32(bytes, 4)?));
    Some(match order {
        Order::Little => second << 32 | first,
        Order::Big => first << 32 | second,
    })
}

/// Writes a file of one section. Times are in nanoseconds.
#[derive(Debug)]
pub(crate) struct Writer<Out> {
    out: Out,
}

impl<Out: Write> Writer<Out> {
    /// Begins the file: who writes it.
    pub(crate) fn new(out: Out, application: &str) -> io::Result<Self> {
        let mut writer = Self { out };
        let mut section = Vec::new();
        section.extend(BYTE_ORDER.to_le_bytes());
        // Version 1.0; how long the section is, is not told.
        section.extend([1, 0, 0, 0]);
        section.extend([0xff; 8]);
        put(&mut section, APPLICATION, application.as_bytes());
        put(&mut section, 0, &[]);
        writer.block(SECTION_TYPE, &section)?;
        Ok(writer)
    }

    /// Describes the next interface that packets were captured on.
    pub(crate) fn interface(
        &mut self,
        link: LinkType,
        name: &str,
        description: &str,
    ) -> io::Result<()> {
        let mut interface = Vec::new();
        interface.extend(u16::try_from(link.number()).unwrap_or(u16::MAX).to_le_bytes());
        interface.extend([0, 0]);
        interface.extend(u32::try_from(LONGEST_PACKET).unwrap_or(u32::MAX).to_le_bytes());
        put(&mut interface, NAME, name.as_bytes());
        put(&mut interface, DESCRIPTION, description.as_bytes());
        put(&mut interface, RESOLUTION, &[NANOSECONDS]);
        put(&mut interface, 0, &[]);
        self.block(INTERFACE, &interface)
    }

    /// Writes a packet with its comment.
    pub(crate) fn packet(&mut self, packet: &CapturedPacket, comment: &str) -> io::Result<()> {
        let mut body = Vec::new();
        let nanoseconds = u64::try_from(packet.time.as_nanos()).unwrap_or(u64::MAX);
        let length = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        body.extend(length(packet.interface));
        body.extend(((nanoseconds >> 32) as u32).to_le_bytes());
        body.extend(((nanoseconds & 0xffff_ffff) as u32).to_le_bytes());
        body.extend(length(packet.bytes.len()));
        body.extend(length(packet.original));
        body.extend(&packet.bytes);
        pad(&mut body);
        put(&mut body, COMMENT, comment.as_bytes());
        put(&mut body, 0, &[]);
        self.block(ENHANCED_PACKET, &body)
    }

    /// Ends the file: how many packets were lost by the capture, if that is known.
    pub(crate) fn end(mut self, lost: Option<u64>, time: Duration) -> io::Result<()> {
        if let Some(lost) = lost {
            let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            let mut body = vec![0; 4];
            body.extend(((nanoseconds >> 32) as u32).to_le_bytes());
            body.extend(((nanoseconds & 0xffff_ffff) as u32).to_le_bytes());
            put(&mut body, DROPPED, &lost.to_le_bytes());
            put(&mut body, 0, &[]);
            self.block(STATISTICS, &body)?;
        }
        self.out.flush()
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(12 + body.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&length)?;
        self.out.write_all(body)?;
        self.out.write_all(&length)
    }
}

/// Puts an option behind `body`.
fn put(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    // An option's length has 16 bits.
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}
