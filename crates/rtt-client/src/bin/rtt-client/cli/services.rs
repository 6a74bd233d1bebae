//! The list of services that `--service help` prints.

use rtt_client::{PROTOCOLS, Protocol, ReplyStart, Service, protocol_named};

/// The services that a command can measure. The command of a protocol has only the services of this protocol.
pub(super) fn list_of_command(command: &str) -> String {
    match protocol_named(command) {
        Some(protocol) if protocol.services.is_empty() => {
            format!("{} has no predefined services\n", protocol.title)
        }
        Some(protocol) => list([protocol]),
        None => list(PROTOCOLS),
    }
}

fn list(protocols: impl IntoIterator<Item = &'static Protocol>) -> String {
    let rows = protocols
        .into_iter()
        .flat_map(|protocol| protocol.services.iter().map(|service| row(protocol, service)));
    let mut text = String::from("name        over    port  request, correct reply, source\n");
    text.extend(rows);
    text
}

fn row(protocol: &Protocol, service: &Service) -> String {
    let Service { name, port, about, source, .. } = service;
    let reply = correct_reply(service);
    format!(
        "{name:<10}  {:<4}  {port:>6}  {about}\n{:26}reply {reply}\n{:26}{source}\n",
        protocol.title, "", ""
    )
}

/// The main condition of a correct reply.
fn correct_reply(service: &Service) -> String {
    match &service.reply.start {
        ReplyStart::Text(start) => format!("begins with `{}`", String::from_utf8_lossy(start)),
        ReplyStart::Bits { .. } => "contains the identifier of the request".to_owned(),
    }
}
