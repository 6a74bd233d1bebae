//! The output of `rtt-client protocols` agrees with the rest of the project: with the servers, and with the documentation.
//!
//! If the environment variable `UPDATE_DOCS` is set, the test of docs/output.md writes the table instead.

#[path = "command/documentation.rs"]
mod documentation;

use documentation::documented_table;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The events of `rtt-client protocols --format json`.
fn protocols() -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args(["protocols", "--format", "json"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let protocols: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(protocols.iter().all(|protocol| protocol["type"] == "protocol"), "{text}");
    assert!(protocols.len() >= 2, "{text}");
    protocols
}

/// The path of a file of this project. `path` is relative to the root of the workspace.
fn project_file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(project_file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the protocols with a server of this project, the names of the servers, and the default ports.
fn servers(protocols: &[Value]) -> Vec<(&str, &str, u64)> {
    protocols
        .iter()
        .filter_map(|protocol| {
            let server = protocol["server"].as_str()?;
            Some((protocol["name"].as_str()?, server, protocol["default_port"].as_u64()?))
        })
        .collect()
}

#[test]
fn every_server_is_a_program_of_the_workspace_with_the_same_default_port() {
    let protocols = protocols();
    let servers = servers(&protocols);
    let with_server = protocols.iter().filter(|protocol| protocol["server"].is_string());
    assert_eq!(servers.len(), with_server.count(), "a server needs a default port");
    let workspace = read("crates/child-process/src/workspace.rs");
    let programs = between(&workspace, "pub const PROGRAMS:", ";\n");
    for (_, server, port) in servers {
        let manifest = read(&format!("crates/{server}/Cargo.toml"));
        assert!(manifest.contains(&format!("name = \"{server}\"")), "{manifest}");
        assert!(programs.contains(&format!("\"{server}\"")), "PROGRAMS: {programs}");
        let library = read(&format!("crates/{server}/src/lib.rs"));
        let default = between(&library, "pub const DEFAULT_PORT: u16 = ", ";").replace('_', "");
        assert_eq!(default.parse(), Ok(port), "{server}");
    }
}

/// The text between the first `start` and the next `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no `{start}`"));
    rest.split_once(end).unwrap_or_else(|| panic!("no `{end}` after `{start}`")).0
}

#[test]
fn help_and_readme_contain_every_protocol_with_its_port() {
    let protocols = protocols();
    let help = Command::new(env!("CARGO_BIN_EXE_rtt-client")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let readme = read("README.md");
    for protocol in &protocols {
        let name = protocol["name"].as_str().unwrap();
        assert!(readme.contains(&format!("    rtt-client {name} ")), "README.md, {name}");
        if let Some(port) = protocol["default_port"].as_u64() {
            assert!(help.contains(&format!("(default port {port})")), "{help}");
        }
    }
    for (_, server, port) in servers(&protocols) {
        let line = readme.lines().find(|line| line.starts_with(&format!("    {server} ")));
        let line = line.unwrap_or_else(|| panic!("README.md does not list {server}"));
        assert!(line.contains(&format!("127.0.0.1:{port} ")), "{line}");
    }
}

#[test]
fn table_of_protocols_in_the_documentation_is_up_to_date() {
    let table = table(&protocols());
    let documented = documented_table("output.md", "protocols", &table);
    assert_eq!(documented, table, "docs/output.md is out of date (see UPDATE_DOCS)");
}

#[test]
fn table_of_services_in_the_documentation_is_up_to_date() {
    let mut table = "| name | over | port | request | correct reply | source |\n\
                     |---|---|---|---|---|---|\n"
        .to_owned();
    for protocol in protocols() {
        for service in protocol["services"].as_array().into_iter().flatten() {
            let start = match service["reply_starts"].as_str() {
                Some(start) => format!("begins with `{start}`"),
                None => "contains the identifier of the request".to_owned(),
            };
            let _ = writeln!(
                table,
                "| `{}` | {} | {} | {} | {start} | {} |",
                text(&service["name"]),
                text(&protocol["title"]),
                text(&service["port"]),
                text(&service["request"]),
                text(&service["source"])
            );
        }
    }
    let documented = documented_table("services.md", "services", &table);
    assert_eq!(documented, table, "docs/services.md is out of date (see UPDATE_DOCS)");
}

/// The table of the documentation: one row for each protocol.
fn table(protocols: &[Value]) -> String {
    let mut table = "| protocol | default port | replied to by | correct reply | phases | messages | ordered | \
                     reliable | kernel statistics | trace | maximum message |\n\
                     |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for protocol in protocols {
        let responder = match protocol["server"].as_str() {
            Some(server) => format!("{} (`{server}`)", text(&protocol["responder"])),
            None => text(&protocol["responder"]),
        };
        let phases: Vec<String> = protocol["phases"].as_array().unwrap().iter().map(text).collect();
        let _ = writeln!(
            table,
            "| `{}` | {} | {responder} | {} | {} | {} | {} | {} | {} | {} | {} |",
            text(&protocol["name"]),
            text(&protocol["default_port"]),
            text(&protocol["reply"]),
            phases.join(", "),
            text(&protocol["framing"]),
            text(&protocol["ordered"]),
            text(&protocol["reliable"]),
            text(&protocol["kernel_statistics"]),
            text(&protocol["traceable"]),
            text(&protocol["max_message_bytes"]),
        );
    }
    table.push('\n');
    table
}

/// A value as text. An absent value is empty.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
