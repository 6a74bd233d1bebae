//! The appearance of text output. It depends on the terminal and the environment.

use rtt_client::report::{Charset, Styling, TextConfig};
use std::env;
use std::io::{self, IsTerminal as _};
use terminal_size::{Width, terminal_size_of};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// The environment variables with the character encoding. The first variable that is not empty applies (POSIX,
/// section 8.2, "Internationalization Variables").
const LOCALE_VARIABLES: [&str; 3] = ["LC_ALL", "LC_CTYPE", "LANG"];

/// The appearance of a text report on stdout and stderr.
pub(crate) fn text_config() -> TextConfig {
    let columns = |width: Option<(Width, _)>| width.map(|(Width(columns), _)| usize::from(columns));
    TextConfig {
        width: columns(terminal_size_of(io::stdout())).unwrap_or(TextConfig::DEFAULT_WIDTH),
        error_width: columns(terminal_size_of(io::stderr())),
        charset: charset(LOCALE_VARIABLES.map(variable)),
        styling: styling(
            io::stdout().is_terminal(),
            variable("TERM").as_deref(),
            variable("NO_COLOR").as_deref(),
        ),
        ..TextConfig::default()
    }
}

/// Wraps each line of a message for standard error, if it is a terminal.
pub(crate) fn wrapped_for_stderr(text: &str) -> String {
    match terminal_size_of(io::stderr()) {
        Some((Width(columns), _)) => wrapped(text, usize::from(columns)),
        None => text.to_owned(),
    }
}

/// Wraps each line at spaces. The lines after a break have the indentation of the first one.
fn wrapped(text: &str, columns: usize) -> String {
    let columns = columns.max(TextConfig::MIN_WIDTH);
    let wrap = |line: &str| {
        let indentation = " ".repeat(line.len() - line.trim_start_matches(' ').len());
        let options = Options::new(columns)
            .subsequent_indent(&indentation)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation)
            .wrap_algorithm(WrapAlgorithm::FirstFit);
        textwrap::wrap(line, options).join("\n")
    };
    text.split('\n').map(wrap).collect::<Vec<_>>().join("\n")
}

/// Whether `NO_COLOR` allows colours (<https://no-color.org>).
pub(crate) fn allows_colour() -> bool {
    variable("NO_COLOR").is_none()
}

/// The value of an environment variable, if it is set and not empty.
fn variable(name: &str) -> Option<String> {
    let value = env::var_os(name)?;
    (!value.is_empty()).then(|| value.to_string_lossy().into_owned())
}

fn charset(locale: [Option<String>; 3]) -> Charset {
    // These variables exist only on Unix. On Windows, the standard library converts UTF-8 for the console.
    if !cfg!(unix) {
        return Charset::Utf8;
    }
    let encoding = locale.into_iter().flatten().next().unwrap_or_default().to_ascii_lowercase();
    if encoding.contains("utf-8") || encoding.contains("utf8") {
        Charset::Utf8
    } else {
        Charset::Ascii
    }
}

fn styling(is_terminal: bool, term: Option<&str>, no_color: Option<&str>) -> Styling {
    if !is_terminal || term == Some("dumb") {
        Styling::Plain
    } else if no_color.is_some() {
        Styling::Bold
    } else {
        Styling::BoldAndColour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn first_locale_variable_that_is_not_empty_selects_the_charset() {
        for (locale, expected) in [
            ([None, None, None], Charset::Ascii),
            ([None, None, Some("C.UTF-8")], Charset::Utf8),
            ([Some("C"), None, Some("C.UTF-8")], Charset::Ascii),
            ([None, Some("de_DE.utf8"), Some("C")], Charset::Utf8),
            ([None, None, Some("en_US.ISO-8859-1")], Charset::Ascii),
        ] {
            assert_eq!(charset(locale.map(|name| name.map(str::to_owned))), expected, "{locale:?}");
        }
    }

    #[test]
    fn styling_depends_on_the_terminal_and_on_the_variable_no_color() {
        assert_eq!(styling(true, Some("xterm"), None), Styling::BoldAndColour);
        assert_eq!(styling(true, Some("xterm"), Some("1")), Styling::Bold);
        assert_eq!(styling(true, Some("dumb"), None), Styling::Plain);
        assert_eq!(styling(false, Some("xterm"), None), Styling::Plain);
    }

    #[test]
    fn message_is_wrapped_at_spaces() {
        let text = format!("error: {}\n\n  {}\n", "word ".repeat(20), "tip-1 ".repeat(20));
        let wrapped = wrapped(&text, 40);
        assert!(wrapped.split_whitespace().eq(text.split_whitespace()), "{wrapped}");
        assert!(
            wrapped.lines().all(|line| line.len() <= TextConfig::MIN_WIDTH.max(40)),
            "{wrapped}"
        );
        let tips: Vec<&str> = wrapped.lines().filter(|line| line.contains("tip-1")).collect();
        assert!(tips.len() > 1 && tips.iter().all(|line| line.starts_with("  tip-1")), "{wrapped}");
        assert!(wrapped.contains("\n\n") && wrapped.ends_with('\n'), "{wrapped}");
    }
}
