//! The servers of the demo: one for each protocol for which this project has a server.

use super::{Files, shown};
use anyhow::{Context as _, Result};
use child_process::workspace::program;
use child_process::{Server, logged_totals, output};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The running servers. Dropping this value kills them.
pub(super) struct Servers(Vec<ProtocolServer>);

/// The server of a protocol.
struct ProtocolServer {
    /// The name of the protocol: `udp`.
    protocol: String,
    /// The name of the program: `udp-echo`.
    program: String,
    server: Server,
    log: PathBuf,
}

impl Servers {
    /// Starts one server for each protocol, in the order of `rtt-client protocols`.
    pub(super) fn start(files: &Files) -> Result<Self> {
        let protocols = output(program("rtt-client").args(["protocols", "--format", "json"]))?;
        let start = |(protocol, name): (String, String)| {
            let log = files.path(&format!("{name}.log"));
            let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
            let mut command = program(&name);
            let server = Server::start(command.args(["--listen", "127.0.0.1:0"]).stderr(file))
                .with_context(|| format!("the log of {name} is in {}", log.display()))?;
            Ok(ProtocolServer { protocol, program: name, server, log })
        };
        let servers = server_programs(&protocols)?.into_iter().map(start);
        Ok(Self(servers.collect::<Result<_>>()?))
    }

    /// The address on which the server of `protocol` listens.
    pub(super) fn address(&self, protocol: &str) -> Result<&str> {
        Ok(&self.of(protocol)?.server.address)
    }

    /// The URL of the server of `protocol`.
    pub(super) fn url(&self, protocol: &str) -> Result<String> {
        Ok(format!("{protocol}://{}", self.address(protocol)?))
    }

    /// The name of the program that is the server of `protocol`.
    pub(super) fn program(&self, protocol: &str) -> Result<&str> {
        Ok(&self.of(protocol)?.program)
    }

    /// The paths of the logs, as text.
    pub(super) fn logs(&self) -> String {
        self.list(|server| shown(&server.log))
    }

    /// The programs and their addresses, as text.
    pub(super) fn addresses(&self) -> String {
        self.list(|server| format!("{} on {}", server.program, server.server.address))
    }

    /// Stops the servers and prints their counters.
    pub(super) fn stop(self) -> Result<()> {
        for ProtocolServer { program, server, log, .. } in self.0 {
            server.terminate()?;
            print_counters(&program, &log)?;
        }
        Ok(())
    }

    fn of(&self, protocol: &str) -> Result<&ProtocolServer> {
        let found = self.0.iter().find(|server| server.protocol == protocol);
        found.with_context(|| format!("the client lists no server for the protocol {protocol}"))
    }

    fn list(&self, text: impl Fn(&ProtocolServer) -> String) -> String {
        self.0.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

/// The protocols with a server of this project, and the names of the servers. `json` is the output of
/// `rtt-client protocols --format json`.
fn server_programs(json: &str) -> Result<Vec<(String, String)>> {
    let mut programs = Vec::new();
    for line in json.lines() {
        let protocol: Value = serde_json::from_str(line)
            .with_context(|| format!("`rtt-client protocols` printed {line}"))?;
        if let (Some(name), Some(server)) = (protocol["name"].as_str(), protocol["server"].as_str())
        {
            programs.push((name.to_owned(), server.to_owned()));
        }
    }
    Ok(programs)
}

/// Prints the counters in a server's log that are not 0.
fn print_counters(name: &str, log: &Path) -> Result<()> {
    let text = fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))?;
    let counts: Vec<String> = logged_totals(&text)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(field, count)| format!("{} {count}", field.replace('_', " ")))
        .collect();
    let counts = if counts.is_empty() { "not logged".to_owned() } else { counts.join(", ") };
    println!("{name}: {counts}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_protocols_with_a_server_have_a_program() {
        let json = "{\"type\":\"protocol\",\"name\":\"a\",\"server\":\"a-echo\"}\n\
                    {\"type\":\"protocol\",\"name\":\"b\",\"responder\":\"kernel\"}\n\
                    {\"type\":\"protocol\",\"name\":\"c\",\"server\":\"other\"}\n";
        let programs = server_programs(json).unwrap();
        let expected = [("a", "a-echo"), ("c", "other")];
        assert_eq!(programs, expected.map(|(name, server)| (name.to_owned(), server.to_owned())));
    }

    #[test]
    fn output_that_is_not_json_is_an_error_with_the_line() {
        let error = server_programs("not JSON").unwrap_err();
        assert!(error.to_string().contains("printed not JSON"), "{error}");
    }
}
