//! The list of services that `--service help` prints.

use anyhow::{Context as _, Result};
use rtt_client::{Protocol, ReplyStart, Service};
use std::io::{self, Write as _};

/// Prints the services of these protocols.
pub(crate) fn print(protocols: impl IntoIterator<Item = &'static Protocol>) -> Result<bool> {
    let rows = protocols
        .into_iter()
        .flat_map(|protocol| protocol.services.iter().map(|service| row(protocol, service)));
    let mut text = String::from("name        over    port  exchange\n");
    text.extend(rows);
    io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
    Ok(true)
}

fn row(protocol: &Protocol, service: &Service) -> String {
    let Service { name, port, about, source, reply, .. } = service;
    let start = match &reply.start {
        ReplyStart::Text(text) => format!("the reply begins with `{}`", text.escape_ascii()),
        ReplyStart::Bits { position, mask, value } => {
            format!("byte {} of the reply, AND 0x{mask:02x}, is 0x{value:02x}", position + 1)
        }
    };
    format!(
        "{name:<10}  {:<4}  {port:>6}  {about}\n{:26}{start}\n{:26}({source})\n",
        protocol.title, "", ""
    )
}
