//! Prints the help, the version or the error that the parser of the command line returns.

use crate::output::{ESC, print_error};
use crate::terminal::{allows_colour, wrapped_for_stderr};
use clap::error::{ContextKind, ContextValue};
use echo_core::escape_controls;
use std::env;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Prints `message`. Returns the exit status: 0 for the help and the version, 2 for an error or if standard output is
/// full.
pub(super) fn print(message: &clap::Error) -> ExitCode {
    if message.use_stderr() {
        // The message contains arguments of the command line. `ansi` does not change escape codes in them, so with such
        // a code the message has no colours.
        let has_codes = env::args_os().any(|argument| argument.as_encoded_bytes().contains(&ESC));
        let has_colour = allows_colour() && io::stderr().is_terminal() && !has_codes;
        let text = message.render();
        let text = if has_colour { text.ansi().to_string() } else { text.to_string() };
        let text = wrapped_for_stderr(&text);
        let is_kept = |character| character == '\n' || (has_colour && character == char::from(ESC));
        // If standard error is closed or full, there is no place for the message.
        let _ = io::stderr().write_all(escape_controls(&text, is_kept).as_bytes());
    } else if let Err(error) = print_to_stdout(message)
        && error.kind() != ErrorKind::BrokenPipe
    {
        print_error(format_args!("cannot write to standard output: {error}"));
        return ExitCode::from(2);
    }
    // clap uses 0 for the help and the version, and 2 for errors.
    ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2))
}

/// A message that is this text. The parser of the command line returns it as it returns the help.
pub(super) fn text_on_stdout(text: String) -> clap::Error {
    let mut message = clap::Error::new(clap::error::ErrorKind::DisplayHelp);
    message.insert(ContextKind::Custom, ContextValue::String(text));
    message
}

fn print_to_stdout(message: &clap::Error) -> io::Result<()> {
    match message.get(ContextKind::Custom) {
        Some(ContextValue::String(text)) => io::stdout().write_all(text.as_bytes()),
        _ => message.print(),
    }
}
