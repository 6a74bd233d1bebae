//! [`received_text`]: bytes of a service as text for people, in the notation of `--send`.

use echo_core::is_terminal_control;
use std::fmt::Write as _;

/// Converts received bytes to text that is safe for a terminal. The option `--send` accepts its escapes: `\r`, `\n`,
/// `\t`, `\\` and `\xHH`. So the conversion can be reversed.
pub(crate) fn received_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str(r"\\"),
                '\r' => text.push_str(r"\r"),
                '\n' => text.push_str(r"\n"),
                '\t' => text.push_str(r"\t"),
                // Combining characters can cover the lines above and below.
                _ if character.is_ascii_graphic() || character == ' ' => text.push(character),
                _ if character.is_alphanumeric() && !is_terminal_control(character) => {
                    text.push(character);
                }
                _ => push_bytes(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_escapes_of_requests() {
        for (bytes, expected) in [
            (&b"+PONG\r\n"[..], r"+PONG\r\n"),
            (b"\0\xdc\x1b[2J", r"\x00\xdc\x1b[2J"),
            (br"a\b", r"a\\b"),
            ("gr\u{fc}n \u{202e}".as_bytes(), "gr\u{fc}n \\xe2\\x80\\xae"),
            ("e\u{301}".as_bytes(), r"e\xcc\x81"),
        ] {
            assert_eq!(received_text(bytes), expected);
        }
    }
}
