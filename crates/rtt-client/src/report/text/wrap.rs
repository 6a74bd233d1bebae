//! Lines that fit the screen.

use std::io::{self, Write};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How wide a line is at most.
const WIDTH: usize = 80;

/// Writes `text` in lines of at most the width, all but the first behind `indent`. A word that is longer than
/// a line is cut, for it may be a stranger's.
pub(super) fn wrapped(out: &mut impl Write, indent: &str, text: &str) -> io::Result<()> {
    let lead: String = text.chars().take_while(|character| *character == ' ').collect();
    let mut line = lead.clone();
    let mut is_empty = true;
    for word in text.trim_start().split(' ') {
        if !is_empty && line.width() + 1 + word.width() > WIDTH {
            // A word that no line holds begins where it stands.
            if indent.width() + word.width() <= WIDTH {
                writeln!(out, "{line}")?;
                indent.clone_into(&mut line);
                is_empty = true;
            }
        }
        if !is_empty {
            line.push(' ');
        }
        for character in word.chars() {
            if line.width() + character.width().unwrap_or(0) > WIDTH {
                writeln!(out, "{}", line.trim_end())?;
                indent.clone_into(&mut line);
            }
            line.push(character);
        }
        is_empty = false;
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_whatever_a_stranger_says() {
        for text in [
            "  it answered  ".to_owned() + &"A".repeat(500),
            "  it answered  ".to_owned() + &"漢".repeat(200),
            "many words ".repeat(40),
            "x".repeat(81),
            String::new(),
        ] {
            let mut out = Vec::new();
            wrapped(&mut out, "          ", &text).unwrap();
            let out = String::from_utf8(out).unwrap();
            assert!(out.lines().all(|line| line.width() <= WIDTH), "{out}");
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(letters(&out), letters(&text));
        }
    }
}
