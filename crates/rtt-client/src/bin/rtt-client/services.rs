//! The list of services that `--service help` prints.

use anyhow::{Context as _, Result};
use rtt_client::{Protocol, Service};
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
    let Service { name, port, about, source, .. } = service;
    format!("{name:<10}  {:<4}  {port:>6}  {about}\n{:26}({source})\n", protocol.title, "")
}
