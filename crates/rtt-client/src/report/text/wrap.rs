//! Lines that fit the screen.

use std::io::{self, Write};

/// How wide a line is at most.
const WIDTH: usize = 80;

/// Writes `text` in lines of at most the width, all but the first behind `indent`.
pub(super) fn wrapped(out: &mut impl Write, indent: &str, text: &str) -> io::Result<()> {
    let lead: String = text.chars().take_while(|character| *character == ' ').collect();
    let mut line = lead.clone();
    let mut is_empty = true;
    for word in text.trim_start().split(' ') {
        let length = line.chars().count() + usize::from(!is_empty) + word.chars().count();
        if length > WIDTH && !is_empty {
            writeln!(out, "{line}")?;
            indent.clone_into(&mut line);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    writeln!(out, "{line}")
}
