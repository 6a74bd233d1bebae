//! Parses the command line, and prints the message of the parser if there is nothing to run.

use crate::logging::has_colour;
use crate::process::{CANNOT_START, print, print_line};
use clap::Parser;
use echo_core::escape_controls;
use std::env;
use std::io::ErrorKind;
use std::process::ExitCode;

/// The first byte of the codes for colours and of other commands of a terminal (ECMA-48).
const ESC: u8 = 0x1b;

/// Parses the arguments of the process.
///
/// # Errors
///
/// If there is nothing to run: the exit status, after the function has printed clap's message or the help.
pub fn parse_arguments<Arguments: Parser>() -> Result<Arguments, ExitCode> {
    Arguments::try_parse().map_err(|message| print_message(&message))
}

/// Prints the help, the version or an error of clap. Control characters in the arguments become escapes. Returns the
/// exit status: 0 for the help and the version, 2 for an error or if standard output is full.
fn print_message(message: &clap::Error) -> ExitCode {
    if message.use_stderr() {
        // The message contains arguments. `ansi` would not change the codes in them.
        let has_codes = env::args_os().any(|argument| argument.as_encoded_bytes().contains(&ESC));
        let is_coloured = has_colour() && !has_codes;
        let text = message.render();
        let text = if is_coloured { text.ansi().to_string() } else { text.to_string() };
        let is_kept =
            |character| character == '\n' || (is_coloured && character == char::from(ESC));
        print(escape_controls(&text, is_kept).into_owned());
    } else if let Err(error) = message.print()
        && error.kind() != ErrorKind::BrokenPipe
    {
        print_line(format_args!("cannot write to stdout: {error}"));
        return ExitCode::from(CANNOT_START);
    }
    // clap uses 0 for the help and the version, and 2 for errors.
    ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(CANNOT_START))
}
