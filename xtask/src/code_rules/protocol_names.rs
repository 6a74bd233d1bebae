//! No name of a protocol in generic code of the client.
//!
//! The names are the directories in `protocol/`, so the rule covers a new protocol automatically. The rule checks the
//! identifiers, the strings and the comments of the library and the binary. These places may contain the names:
//!
//! - `protocol.rs` and `protocol/`: the code for the protocols;
//! - tests;
//! - examples in doc comments;
//! - for a few protocols, other meanings of the name: see [`SHARED_NAMES`].

use super::Violation;
use super::layers::SRC;
use super::modules::ModuleTree;
use super::source::SourceFile;
use super::syntax::{Text, TextKind, paths};
use std::collections::BTreeSet;

/// The source directory of the client's binary.
const BINARY: &str = "crates/rtt-client/src/bin/rtt-client/";

const RULE: &str =
    "code for one protocol is in protocol/; other code uses the facts and hooks of all protocols";

/// A protocol whose name has another meaning in generic code.
struct SharedName {
    name: &'static str,
    /// The texts in which the name means the protocol. The rule reports only these. They are in lower case.
    specific: &'static [&'static str],
}

const SHARED_NAMES: [SharedName; 1] = [
    // IP uses ICMP to report errors about packets of every protocol. Generic code therefore contains ICMP errors, with
    // their types and codes. The protocol `icmp` consists of echo requests and echo replies.
    SharedName {
        name: "icmp",
        specific: &[
            "icmp://",
            "protocol::icmp",
            "protocol/icmp",
            "icmp echo",
            "icmpv6 echo",
            "echo request",
        ],
    },
];

/// Checks the files of the client.
pub(super) fn check(sources: &[SourceFile]) -> Vec<Violation> {
    let library = ModuleTree::new(sources, SRC);
    let binary = ModuleTree::new(sources, BINARY);
    // The folder of a protocol contains at least one module.
    let folders = library.modules.keys().filter_map(|module| match &module[..] {
        [protocol, name, _, ..] if protocol == "protocol" => Some(name.as_str()),
        _ => None,
    });
    let names: BTreeSet<&str> = folders.collect();
    let modules = library.modules.values().chain(binary.modules.values());
    modules
        .map(|module| module.source)
        .filter(|source| !is_exempt(source))
        .flat_map(|source| check_file(source, &names))
        .collect()
}

fn is_exempt(source: &SourceFile) -> bool {
    let path = source.path.strip_prefix(SRC).unwrap_or(&source.path);
    path == "protocol.rs" || path.starts_with("protocol/")
}

fn check_file(source: &SourceFile, names: &BTreeSet<&str>) -> Vec<Violation> {
    let mut found = BTreeSet::new();
    for token in &source.code.tokens {
        let words = words(&token.text).join(" ");
        let place = || format!("the identifier `{}`", token.text);
        found.extend(find(&words, names).map(|name| (token.line, name, place())));
    }
    for path in paths(&source.code.tokens) {
        let text = path.text();
        let specific = SHARED_NAMES.iter().filter(|shared| is_specific(&text, shared));
        let names = specific.filter(|shared| names.contains(shared.name));
        found.extend(names.map(|shared| (path.line, shared.name, format!("the path `{text}`"))));
    }
    for (line, kind, text) in lines(&source.code.texts) {
        let place = if kind == TextKind::String { "a string" } else { "a comment" };
        found.extend(find(text, names).map(|name| (line, name, place.to_owned())));
    }
    found
        .into_iter()
        .map(|(line, name, place)| Violation {
            file: source.path.clone(),
            line: Some(line),
            found: format!("contains the protocol name `{name}` in {place}"),
            rule: RULE.to_owned(),
        })
        .collect()
}

/// The names that `text` contains.
fn find<'a>(text: &str, names: &BTreeSet<&'a str>) -> impl Iterator<Item = &'a str> {
    let words = words(text);
    names.iter().copied().filter(move |name| {
        match SHARED_NAMES.iter().find(|shared| shared.name == *name) {
            Some(shared) => is_specific(text, shared),
            None => words.iter().any(|word| is_name(word, name)),
        }
    })
}

fn is_specific(text: &str, shared: &SharedName) -> bool {
    let text = text.to_lowercase();
    shared.specific.iter().any(|specific| text.contains(specific))
}

/// Whether `word` is the name, or the name with a version: `udp`, `udp6`, `udpv6`.
fn is_name(word: &str, name: &str) -> bool {
    word.strip_prefix(name).is_some_and(|rest| {
        let version = rest.strip_prefix('v').unwrap_or(rest);
        rest.is_empty() || (!version.is_empty() && version.chars().all(|c| c.is_ascii_digit()))
    })
}

/// The words of a text or an identifier, in lower case: `TcpInfo`, `TCP_INFO` and `TCP-info` consist of `tcp` and
/// `info`.
fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let is = |index: usize, test: fn(char) -> bool| characters.get(index).is_some_and(|c| test(*c));
    let mut words = vec![String::new()];
    for (index, character) in characters.iter().enumerate() {
        let is_upper = character.is_uppercase();
        // `v4` and `v6` belong to the word before them: `UDPv6`.
        let is_version = is(index + 1, |c| c == 'v') && is(index + 2, |c| c.is_ascii_digit());
        let starts_word = index > 0
            && is_upper
            && (!is(index - 1, char::is_uppercase)
                || (is(index + 1, char::is_lowercase) && !is_version));
        if starts_word || !character.is_alphanumeric() {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The lines of comments and strings, without the examples in doc comments. An example is between two lines that start
/// with three backquotes.
fn lines(texts: &[Text]) -> Vec<(usize, TextKind, &str)> {
    let mut lines = Vec::new();
    // The number of the example's previous line.
    let mut example: Option<usize> = None;
    for Text { kind, content, line } in texts {
        if *kind == TextKind::DocComment {
            let is_in_example = example.is_some_and(|previous| previous + 1 == *line);
            let is_fence = content[3..].trim_start().starts_with("```");
            example = (is_in_example != is_fence).then_some(*line);
            if is_in_example || is_fence {
                continue;
            }
        }
        let numbered = content.lines().enumerate();
        lines.extend(numbered.map(|(index, text)| (line + index, *kind, text)));
    }
    lines
}

#[cfg(test)]
mod tests;
