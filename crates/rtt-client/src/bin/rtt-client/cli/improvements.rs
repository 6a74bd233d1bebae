//! Improvements of the messages of the parser of the command line.

use super::Cli;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _};
use rtt_client::PROTOCOLS;

/// Improves a message: adds a similar command, or removes a wrong usage.
pub(super) fn improved(message: clap::Error) -> clap::Error {
    without_usage_of_conflict(with_suggestion(message))
}

/// Adds a similar command to the message about an unknown command, if clap has found none: a command with the same letters in
/// another order, or a protocol whose description contains the word in parentheses.
fn with_suggestion(mut message: clap::Error) -> clap::Error {
    let Some(ContextValue::String(unknown)) = message.get(ContextKind::InvalidSubcommand) else {
        return message;
    };
    if message.get(ContextKind::SuggestedSubcommand).is_none() {
        let found = similar_commands(unknown);
        if !found.is_empty() {
            message.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(found));
        }
    }
    message
}

/// Removes the usage from the message about arguments that exclude each other. clap also lists other arguments there that
/// these arguments exclude.
fn without_usage_of_conflict(mut message: clap::Error) -> clap::Error {
    if message.kind() == ErrorKind::ArgumentConflict {
        message.remove(ContextKind::Usage);
    }
    message
}

fn similar_commands(unknown: &str) -> Vec<String> {
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.to_lowercase().chars().collect();
        letters.sort_unstable();
        letters
    };
    let has_same_letters = |name: &&str| letters(name) == letters(unknown);
    let command = Cli::command();
    let names = command.get_subcommands().map(Command::get_name).filter(has_same_letters);
    let in_parentheses = format!("({})", unknown.to_lowercase());
    let protocols = PROTOCOLS.iter().filter(|protocol| protocol.about.contains(&in_parentheses));
    names.chain(protocols.map(|protocol| protocol.name)).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_command_has_a_suggestion_if_a_command_is_similar() {
        assert_eq!(similar_commands("upd"), ["udp"]);
        assert_eq!(similar_commands("ping"), ["icmp"]);
        for text in ["measure", "handshake", "", "frobnicate"] {
            assert_eq!(similar_commands(text), [""; 0], "{text}");
        }
    }
}
