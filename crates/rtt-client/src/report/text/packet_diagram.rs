//! The packets of a flow. Each packet has an arrow between client and server, and its meaning.

use super::printer::Printer;
use super::table::Unit;
use crate::capture::flow::{Flow, FlowSide, PacketRecord};
use crate::capture::role::PacketRole;
use crate::capture::trace::TracedTarget;
use crate::model::format::{count, counted};
use echo_core::escape;
use std::io::{self, Write};
use std::time::Duration;
use textwrap::core::display_width;

/// The number of columns of an arrow. It contains the role of the packet.
const ARROW_WIDTH: usize = 20;

/// The number of columns of the start of a payload, and the maximum number of its characters. A character can have no
/// width.
const PREVIEW_WIDTH: usize = 30;

/// The minimum width of the meaning. If fewer columns remain after the arrow, the meaning is on the next line.
const MIN_MEANING_WIDTH: usize = 28;

/// Writes the packets of `flow`. The flow belongs to `target`.
pub(super) fn write(
    printer: &mut Printer<impl Write>,
    target: &TracedTarget,
    flow: &Flow,
) -> io::Result<()> {
    let protocol = target.protocol;
    let title = protocol.title;
    let interface = target.interface.as_ref();
    let interface = interface.map_or_else(String::new, |name| format!(", interface {name}"));
    let [client, server] =
        [flow.client, flow.server].map(|address| protocol.display_address(address));
    printer.strong(&format!("{title}: client {client}, server {server}{interface}"))?;
    printer.blank()?;
    let diagram = Diagram::new(&flow.packets);
    printer.strong(&diagram.heading())?;
    flow.packets.iter().try_for_each(|packet| diagram.write(printer, packet))?;
    printer.blank()?;
    printer.paragraph(&header_sizes(title, &flow.packets))?;
    printer.blank()
}

/// The columns that all packets of a flow share.
struct Diagram {
    /// The time of the first packet.
    start: Duration,
    unit: Unit,
    number_width: usize,
    time_width: usize,
    bytes_width: usize,
}

impl Diagram {
    fn new(packets: &[PacketRecord]) -> Self {
        let start = packets.first().map_or(Duration::ZERO, |packet| packet.time);
        let offsets = packets.iter().map(|packet| packet.time.abs_diff(start));
        let unit = Unit::for_packets(offsets.max().unwrap_or_default());
        let mut diagram = Self { start, unit, number_width: 3, time_width: 9, bytes_width: 5 };
        for packet in packets {
            let width = |text: String| display_width(&text);
            diagram.number_width = diagram.number_width.max(width(packet.number.to_string()));
            diagram.time_width = diagram.time_width.max(width(diagram.time(packet)));
            diagram.bytes_width = diagram.bytes_width.max(width(bytes(packet)));
        }
        diagram
    }

    fn heading(&self) -> String {
        let Self { number_width, time_width, bytes_width, unit, .. } = *self;
        let time = format!("time/{}", unit.name);
        let space = " ".repeat(ARROW_WIDTH - "client".len() - "server".len());
        format!(
            "{:>number_width$}  {time:>time_width$}  client{space}server  {:>bytes_width$}  meaning",
            "no.", "bytes"
        )
    }

    /// Writes the lines of a packet: one, or more if the meaning needs them.
    fn write(&self, printer: &mut Printer<impl Write>, packet: &PacketRecord) -> io::Result<()> {
        let Self { number_width, time_width, bytes_width, .. } = *self;
        let (number, time, bytes) = (packet.number, self.time(packet), bytes(packet));
        let start = format!("{number:>number_width$}  {time:>time_width$}  ");
        let line = format!("{start}{}  {bytes:>bytes_width$}  ", arrow(packet));
        let meaning = meaning(packet);
        if display_width(&line) + MIN_MEANING_WIDTH <= printer.width {
            return printer.labelled(&line, &meaning);
        }
        printer.line(&line)?;
        printer.labelled(&" ".repeat(display_width(&start)), &meaning)
    }

    /// The time since the first packet. Packets of a file can be out of order, so the time can be negative.
    fn time(&self, packet: &PacketRecord) -> String {
        match packet.time.checked_sub(self.start) {
            Some(after) => self.unit.number(after),
            None => format!("-{}", self.unit.number(self.start.saturating_sub(packet.time))),
        }
    }
}

/// The size of the packet on the wire.
fn bytes(packet: &PacketRecord) -> String {
    count(packet.sizes.total() as u64)
}

/// `--request---------->` or `<------------reply--`.
fn arrow(packet: &PacketRecord) -> String {
    let role = packet.role.label();
    let dashes = "-".repeat(ARROW_WIDTH.saturating_sub(role.len() + 3));
    match packet.sender {
        FlowSide::Client => format!("--{role}{dashes}>"),
        FlowSide::Server => format!("<{dashes}{role}--"),
    }
}

fn meaning(packet: &PacketRecord) -> String {
    let explanation = packet.explanation();
    if packet.sizes.payload == 0 || packet.icmp.is_some() {
        return explanation;
    }
    let payload = preview(&packet.payload, packet.sizes.payload);
    match packet.role {
        // The explanation would repeat the direction of the arrow.
        PacketRole::Request | PacketRole::Reply
            if packet.detail.is_none() && !packet.is_truncated =>
        {
            format!("{} of data: {payload}", counted(packet.sizes.payload as u64, "byte", "bytes"))
        }
        _ => format!("{explanation}: {payload}"),
    }
}

/// The start of a payload of `length` bytes. `payload` contains its captured bytes.
fn preview(payload: &[u8], length: usize) -> String {
    const MORE: &str = "...";
    let mut pieces: Vec<String> = Vec::new();
    let mut width = 0;
    let mut rest = payload;
    while !rest.is_empty() && width <= PREVIEW_WIDTH && pieces.len() <= PREVIEW_WIDTH {
        // A character has at most four bytes. A byte that is not part of a character is escaped.
        let end = (1..=rest.len().min(4)).find(|end| std::str::from_utf8(&rest[..*end]).is_ok());
        let (character, after) = rest.split_at(end.unwrap_or(1));
        let piece = escape(character);
        width += display_width(&piece);
        pieces.push(piece);
        rest = after;
    }
    if rest.is_empty() && payload.len() == length && width <= PREVIEW_WIDTH {
        return pieces.concat();
    }
    while width > PREVIEW_WIDTH - MORE.len()
        && let Some(piece) = pieces.pop()
    {
        width -= display_width(&piece);
    }
    pieces.concat() + MORE
}

/// A sentence about the sizes of the headers.
fn header_sizes(title: &str, packets: &[PacketRecord]) -> String {
    let range = |size: fn(&PacketRecord) -> usize| {
        let sizes = packets.iter().map(size);
        match (sizes.clone().min().unwrap_or_default(), sizes.max().unwrap_or_default()) {
            (min, max) if min == max => min.to_string(),
            (min, max) => format!("{min} to {max}"),
        }
    };
    let link = range(|packet| packet.sizes.link);
    let ip = range(|packet| packet.sizes.ip);
    let transport = range(|packet| packet.sizes.transport);
    format!("The sizes include the headers: link {link}, IP {ip}, {title} {transport} bytes.")
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{WIDTHS, microseconds, printer, words, written};
    use super::*;
    use crate::capture::dissect::LayerSizes;

    fn packet(number: usize, sender: FlowSide, role: PacketRole, payload: &[u8]) -> PacketRecord {
        PacketRecord {
            number,
            time: microseconds(number as u64 * 7),
            sender,
            role,
            sizes: LayerSizes { link: 14, ip: 20, transport: 32, payload: payload.len() },
            payload: payload.to_vec(),
            is_truncated: false,
            exchange: None,
            detail: None,
            icmp: None,
        }
    }

    fn connection() -> Vec<PacketRecord> {
        vec![
            packet(1, FlowSide::Client, PacketRole::Syn, b""),
            packet(2, FlowSide::Server, PacketRole::SynAck, b""),
            packet(3, FlowSide::Client, PacketRole::Request, b"hello"),
            packet(4, FlowSide::Server, PacketRole::Fin, b""),
        ]
    }

    #[test]
    fn packet_line_has_role_size_and_meaning() {
        let packets = connection();
        let diagram = Diagram::new(&packets);
        for width in WIDTHS {
            let mut printer = printer(width);
            packets.iter().try_for_each(|packet| diagram.write(&mut printer, packet)).unwrap();
            let text = written(printer);
            for line in [
                "  1        0.0  --SYN-------------->     66",
                "  2        7.0  <---------SYN, ACK--     66",
                "  3       14.0  --request---------->     71",
                "  4       21.0  <--------------FIN--     66",
            ] {
                assert!(text.contains(line), "{text}");
            }
            let text = words(&text);
            for packet in [&packets[0], &packets[1], &packets[3]] {
                assert!(text.contains(&packet.explanation()), "{text}");
            }
            assert!(text.contains("5 bytes of data: hello"), "{text}");
        }
    }

    #[test]
    fn meaning_is_on_the_line_of_the_arrow_if_it_fits() {
        let packets = connection();
        let diagram = Diagram::new(&packets);
        for (width, lines) in [(60, 2), (80, 1), (120, 1)] {
            let mut printer = printer(width);
            diagram.write(&mut printer, &packets[2]).unwrap();
            assert_eq!(written(printer).lines().count(), lines);
        }
    }

    #[test]
    fn times_of_a_flow_have_one_unit() {
        let mut packets = connection();
        packets[3].time = microseconds(1_234_567);
        let diagram = Diagram::new(&packets);
        assert!(diagram.heading().contains("time/ms"), "{}", diagram.heading());
        assert_eq!(diagram.time(&packets[1]), "0.007");
        assert_eq!(diagram.time(&packets[3]), "1,234.560");
    }

    #[test]
    fn header_sizes_are_ranges_if_they_differ() {
        let mut packets = connection();
        packets[0].sizes.transport = 40;
        let expected = "The sizes include the headers: link 14, IP 20, TCP 32 to 40 bytes.";
        assert_eq!(header_sizes("TCP", &packets), expected);
    }

    #[test]
    fn long_payload_is_cut_between_characters() {
        assert_eq!(preview(b"hello, world", 12), "hello, world");
        assert_eq!(preview(&[b'a'; 31], 31), "a".repeat(27) + "...");
        assert_eq!(preview("世".repeat(20).as_bytes(), 60), "世".repeat(13) + "...");
        assert_eq!(preview(b"hello", 900), "hello...");
        // Combining characters have no width.
        assert!(preview("\u{301}".repeat(2000).as_bytes(), 4000).chars().count() < 40);
        assert_eq!(preview(b"\x1b[2J\xff", 5), "\\u{1b}[2J\\xff");
    }
}
