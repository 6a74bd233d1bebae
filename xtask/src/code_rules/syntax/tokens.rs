//! Splits Rust code into tokens, and collects its comments and strings. In the tokens, `""` replaces each string.

/// A name, a number, `::`, `""` for a string, `'` for a character or a lifetime, or any other single character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::code_rules) struct Token {
    pub(in crate::code_rules) text: String,
    /// The number of the line where the token starts, from 1.
    pub(in crate::code_rules) line: usize,
}

/// A comment or a string, with its delimiters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::code_rules) struct Text {
    pub(in crate::code_rules) kind: TextKind,
    pub(in crate::code_rules) content: String,
    /// The number of the line where the text starts, from 1.
    pub(in crate::code_rules) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::code_rules) enum TextKind {
    /// A comment of one line (`// …`) or a block comment.
    Comment,
    /// One line of a doc comment: `/// …` or `//! …`.
    DocComment,
    String,
}

/// Splits `text` into tokens, and collects its comments and strings.
pub(super) fn tokenize(text: &str) -> (Vec<Token>, Vec<Text>) {
    let mut reader = Reader { characters: text.chars().collect(), position: 0, line: 1 };
    let mut tokens = Vec::new();
    let mut texts = Vec::new();
    while let Some(first) = reader.peek(0) {
        let (start, line) = (reader.position, reader.line);
        let text = match first {
            _ if first.is_whitespace() => {
                reader.next();
                continue;
            }
            '/' if reader.peek(1) == Some('/') => {
                reader.skip_while(|character| character != '\n');
                texts.push(reader.comment(start, line));
                continue;
            }
            '/' if reader.peek(1) == Some('*') => {
                reader.skip_block_comment();
                texts.push(reader.comment(start, line));
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
        if text == STRING {
            texts.push(Text { kind: TextKind::String, content: reader.text_since(start), line });
        }
        tokens.push(Token { text, line });
    }
    (tokens, texts)
}

/// The token that replaces a string.
const STRING: &str = "\"\"";

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

    fn text_since(&self, start: usize) -> String {
        self.characters[start..self.position].iter().collect()
    }

    /// The comment that starts at the position `start` and ends here.
    fn comment(&self, start: usize, line: usize) -> Text {
        let content = self.text_since(start);
        let is_doc = content.starts_with("///") || content.starts_with("//!");
        let kind = if is_doc { TextKind::DocComment } else { TextKind::Comment };
        Text { kind, content, line }
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
        STRING.to_owned()
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
        STRING.to_owned()
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
        let word = self.text_since(start);
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
        tokenize(text).0.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn characters_strings_and_lifetimes_are_distinguished() {
        assert_eq!(texts("'{' '\\'' '\\u{7b}' &'a b"), ["'", "'", "'", "&", "'", "b"]);
        let expected = ["\"\"", "\"\"", "'", "\"\"", "x"];
        assert_eq!(texts(r###"b"{" br##"{"# }"## b'{' c"{" x"###), expected);
    }

    #[test]
    fn lines_in_comments_and_strings_are_counted() {
        let (tokens, _) = tokenize("/*\n*/ a \"\n\" b r#\"\n\"# c");
        let lines: Vec<_> = tokens.iter().map(|token| token.line).collect();
        assert_eq!(lines, [2, 2, 3, 3, 4]);
    }

    #[test]
    fn comments_and_strings_are_collected_with_their_lines() {
        let (_, texts) = tokenize("/// a\n//! b\nlet x = \"c\\\"\n\"; // d\n/* e\n*/ br#\"f\"#");
        let texts: Vec<_> =
            texts.iter().map(|text| (text.kind, text.content.as_str(), text.line)).collect();
        let expected = [
            (TextKind::DocComment, "/// a", 1),
            (TextKind::DocComment, "//! b", 2),
            (TextKind::String, "\"c\\\"\n\"", 3),
            (TextKind::Comment, "// d", 4),
            (TextKind::Comment, "/* e\n*/", 5),
            (TextKind::String, "br#\"f\"#", 6),
        ];
        assert_eq!(texts, expected);
    }
}
