//! Splits Rust code into tokens. It skips comments and replaces each string by `""`.

/// A name, a number, `::`, `""` for a string, `'` for a character or a lifetime, or any other single character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::code_rules) struct Token {
    pub(in crate::code_rules) text: String,
    /// The number of the line where the token starts, from 1.
    pub(in crate::code_rules) line: usize,
}

/// Splits `text` into tokens.
pub(super) fn tokenize(text: &str) -> Vec<Token> {
    let mut reader = Reader { characters: text.chars().collect(), position: 0, line: 1 };
    let mut tokens = Vec::new();
    while let Some(first) = reader.peek(0) {
        let line = reader.line;
        let text = match first {
            _ if first.is_whitespace() => {
                reader.next();
                continue;
            }
            '/' if reader.peek(1) == Some('/') => {
                reader.skip_while(|character| character != '\n');
                continue;
            }
            '/' if reader.peek(1) == Some('*') => {
                reader.skip_block_comment();
                continue;
            }
            '"' => reader.string(),
            '\'' => reader.character_or_lifetime(),
            ':' if reader.peek(1) == Some(':') => {
                reader.next();
                reader.next();
                "::".to_owned()
            }
            _ if first.is_alphanumeric() || first == '_' => reader.word(),
            _ => {
                reader.next();
                first.to_string()
            }
        };
        tokens.push(Token { text, line });
    }
    tokens
}

struct Reader {
    characters: Vec<char>,
    position: usize,
    line: usize,
}

impl Reader {
    fn peek(&self, offset: usize) -> Option<char> {
        self.characters.get(self.position + offset).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek(0)?;
        self.position += 1;
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn skip_while(&mut self, condition: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&condition) {
            self.next();
        }
    }

    /// Skips a block comment. A block comment can contain other block comments.
    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(character) = self.next() {
            match (character, self.peek(0)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => continue,
            }
            self.next();
            if depth == 0 {
                return;
            }
        }
    }

    /// Reads a string that starts with a quote.
    fn string(&mut self) -> String {
        self.next();
        while let Some(character) = self.next() {
            match character {
                '"' => break,
                '\\' => {
                    self.next();
                }
                _ => {}
            }
        }
        "\"\"".to_owned()
    }

    /// Reads a raw string after its `r`: `#"…"#` or `"…"`.
    fn raw_string(&mut self) -> String {
        let mut hashes = 0;
        while self.peek(0) == Some('#') {
            hashes += 1;
            self.next();
        }
        self.next();
        while let Some(character) = self.next() {
            if character == '"' && (0..hashes).all(|offset| self.peek(offset) == Some('#')) {
                self.position += hashes;
                break;
            }
        }
        "\"\"".to_owned()
    }

    /// Reads a character (`'x'`, `'\n'`) or a lifetime (`'a`).
    fn character_or_lifetime(&mut self) -> String {
        self.next();
        if self.peek(0) == Some('\\') {
            self.next();
            self.next();
            self.skip_while(|character| character != '\'');
            self.next();
        } else if self.peek(1) == Some('\'') {
            self.next();
            self.next();
        } else {
            self.skip_while(|character| character.is_alphanumeric() || character == '_');
        }
        "'".to_owned()
    }

    /// Reads a name, a number, or a string with a prefix (`r"…"`, `b"…"`, `br#"…"#`, `c"…"`).
    fn word(&mut self) -> String {
        let start = self.position;
        self.skip_while(|character| character.is_alphanumeric() || character == '_');
        let word: String = self.characters[start..self.position].iter().collect();
        let is_raw_string = self.peek(0) == Some('"')
            || (self.peek(0) == Some('#') && matches!(self.peek(1), Some('"' | '#')));
        match word.as_str() {
            "r" | "br" | "cr" if is_raw_string => self.raw_string(),
            "b" | "c" if self.peek(0) == Some('"') => self.string(),
            "b" if self.peek(0) == Some('\'') => self.character_or_lifetime(),
            _ => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        tokenize(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn characters_strings_and_lifetimes_are_distinguished() {
        assert_eq!(texts("'{' '\\'' '\\u{7b}' &'a b"), ["'", "'", "'", "&", "'", "b"]);
        let expected = ["\"\"", "\"\"", "'", "\"\"", "x"];
        assert_eq!(texts(r###"b"{" br##"{"# }"## b'{' c"{" x"###), expected);
    }

    #[test]
    fn lines_in_comments_and_strings_are_counted() {
        let tokens = tokenize("/*\n*/ a \"\n\" b r#\"\n\"# c");
        let lines: Vec<_> = tokens.iter().map(|token| token.line).collect();
        assert_eq!(lines, [2, 2, 3, 3, 4]);
    }
}
