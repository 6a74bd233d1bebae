//! Splits Rust code into tokens, removes test code, and finds imports and paths.
//!
//! A complete parser (`syn`) takes longer to build than xtask. The rules need only names and their lines, so tokens
//! are enough. Macros are not expanded. The tests contain unusual code, as their input.

mod tokens;

pub(super) use tokens::{Text, TextKind, Token};

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use tokens::tokenize;

/// The code of a file without tests.
pub(super) struct Code {
    /// The tokens, without comments and string contents.
    pub(super) tokens: Vec<Token>,
    /// The comments and the strings.
    pub(super) texts: Vec<Text>,
    /// The modules that the file declares only for tests: `#[cfg(test)] mod name;`.
    pub(super) test_modules: Vec<String>,
}

/// An import, or a path of at least two names in an expression or a type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathUse {
    /// The names: `["crate", "net", "resolve"]`. The last name of a glob import is `*`.
    pub(super) names: Vec<String>,
    pub(super) line: usize,
    /// The inline modules (`mod name { … }`) that contain the path, outermost first.
    pub(super) inside: Vec<String>,
    /// The name that an import defines in its module. `None` for other paths.
    pub(super) imported_as: Option<String>,
}

impl PathUse {
    /// The path as Rust code: `crate::net::resolve`.
    pub(super) fn text(&self) -> String {
        self.names.join("::")
    }
}

/// Splits a file into tokens and removes the tests.
pub(super) fn parse(text: &str) -> Code {
    let (all, texts) = tokenize(text);
    let mut code = Code { tokens: Vec::new(), texts: Vec::new(), test_modules: Vec::new() };
    let mut test_lines = Vec::new();
    let mut index = 0;
    while index < all.len() {
        let Some(attribute_end) = attribute_end(&all, index) else {
            code.tokens.push(all[index].clone());
            index += 1;
            continue;
        };
        if is_test_attribute(&all[index..attribute_end]) {
            let item = skip_attributes(&all, attribute_end);
            let end = item_end(&all, item);
            if let [.., keyword, name, semicolon] = &all[item..end]
                && keyword.text == "mod"
                && semicolon.text == ";"
            {
                code.test_modules.push(name.text.clone());
            }
            test_lines.push(all[index].line..=all[end - 1].line);
            index = end;
        } else {
            code.tokens.extend_from_slice(&all[index..attribute_end]);
            index = attribute_end;
        }
    }
    code.texts = without_tests(texts, &test_lines, &code.tokens);
    code
}

/// Removes the comments and strings of tests, and the comments directly above a test. `tokens` are the tokens of the
/// other code.
fn without_tests(
    mut texts: Vec<Text>,
    test_lines: &[RangeInclusive<usize>],
    tokens: &[Token],
) -> Vec<Text> {
    let code: BTreeSet<usize> = tokens.iter().map(|token| token.line).collect();
    let comments: BTreeSet<usize> = texts
        .iter()
        .filter(|text| text.kind != TextKind::String && !code.contains(&text.line))
        .map(|text| text.line)
        .collect();
    let with_comments: Vec<RangeInclusive<usize>> = test_lines
        .iter()
        .map(|lines| {
            let mut start = *lines.start();
            while comments.contains(&(start - 1)) {
                start -= 1;
            }
            start..=*lines.end()
        })
        .collect();
    texts.retain(|text| !with_comments.iter().any(|lines| lines.contains(&text.line)));
    texts
}

/// The index after the attribute `#[…]` that starts at `start`. `None` if no attribute starts there.
fn attribute_end(tokens: &[Token], start: usize) -> Option<usize> {
    if tokens[start].text != "#" || tokens.get(start + 1)?.text != "[" {
        return None;
    }
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(start + 1) {
        match token.text.as_str() {
            "[" => depth += 1,
            "]" if depth == 1 => return Some(index + 1),
            "]" => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether the attribute is `#[cfg(test)]`, `#[cfg(all(test, …))]` or `#[test]`.
fn is_test_attribute(attribute: &[Token]) -> bool {
    let names: Vec<&str> = attribute.iter().map(|token| token.text.as_str()).collect();
    match names[..] {
        ["#", "[", "test", "]"] | ["#", "[", "cfg", "(", "test", ")", "]"] => true,
        ["#", "[", "cfg", "(", "all", "(", .., ")", ")", "]"] => {
            names.contains(&"test") && !names.contains(&"any") && !names.contains(&"not")
        }
        _ => false,
    }
}

fn skip_attributes(tokens: &[Token], mut index: usize) -> usize {
    while index < tokens.len()
        && let Some(end) = attribute_end(tokens, index)
    {
        index = end;
    }
    index
}

/// The words with which an item can start. After an attribute, other words start a field, a variant or a statement.
const ITEM_WORDS: [&str; 14] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "macro_rules",
    "mod",
    "pub",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
];

/// The index after the item, field or statement that starts at `start`.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let first = tokens.get(start).map_or("", |token| token.text.as_str());
    let is_import = first == "use";
    let is_item = ITEM_WORDS.contains(&first);
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            // The last field or statement of a block can have no `,` or `;`. It ends with the block.
            ")" | "]" | "}" if depth == 0 => return index,
            "}" if depth == 1 && !is_import => return index + 1,
            ")" | "]" | "}" => depth -= 1,
            ";" if depth == 0 => return index + 1,
            "," if depth == 0 && !is_item && !is_import => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// All imports and all paths of at least two names.
pub(super) fn paths(tokens: &[Token]) -> Vec<PathUse> {
    let mut found = Vec::new();
    // The inline modules that contain the current token, each with its brace depth.
    let mut modules: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut index = 0;
    let text = |index: usize| tokens.get(index).map_or("", |token: &Token| token.text.as_str());
    while index < tokens.len() {
        let inside = || modules.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        match text(index) {
            "{" => {
                depth += 1;
                if index >= 2 && text(index - 2) == "mod" {
                    modules.push((text(index - 1).to_owned(), depth));
                }
            }
            "}" => {
                if modules.last().is_some_and(|(_, inner)| *inner == depth) {
                    modules.pop();
                }
                depth = depth.saturating_sub(1);
            }
            // `use<…>` in a type (precise capturing) is not an import.
            "use" if text(index + 1) != "<" => {
                let start = if text(index + 1) == "::" { index + 2 } else { index + 1 };
                index = import_tree(tokens, start, &[], &inside(), &mut found);
                continue;
            }
            name if is_name(name) && text(index + 1) == "::" && is_name(text(index + 2)) => {
                let line = tokens[index].line;
                let mut names = vec![name.to_owned()];
                while text(index + 1) == "::" && is_name(text(index + 2)) {
                    names.push(text(index + 2).to_owned());
                    index += 2;
                }
                found.push(PathUse { names, line, inside: inside(), imported_as: None });
            }
            _ => {}
        }
        index += 1;
    }
    found
}

/// Reads the import tree that starts at `index` and returns the index after it. `prefix` contains the names before
/// the tree.
fn import_tree(
    tokens: &[Token],
    mut index: usize,
    prefix: &[String],
    inside: &[String],
    found: &mut Vec<PathUse>,
) -> usize {
    let text = |index: usize| tokens.get(index).map_or("", |token: &Token| token.text.as_str());
    let line = tokens.get(index).map_or(0, |token| token.line);
    let mut names = prefix.to_vec();
    loop {
        match text(index) {
            "{" => {
                index += 1;
                while index < tokens.len() && text(index) != "}" {
                    index = import_tree(tokens, index, &names, inside, found);
                    if text(index) == "," {
                        index += 1;
                    } else if text(index) != "}" {
                        return index;
                    }
                }
                return index + 1;
            }
            name if is_name(name) || name == "*" => names.push(name.to_owned()),
            _ => return index + 1,
        }
        index += 1;
        if text(index) != "::" {
            break;
        }
        index += 1;
    }
    // `use a::{self}` imports `a`.
    if names.len() > 1 && names.last().is_some_and(|name| name == "self") {
        names.pop();
    }
    let mut imported_as = names.last().cloned();
    if text(index) == "as" {
        imported_as = Some(text(index + 1).to_owned());
        index += 2;
    }
    found.push(PathUse { names, line, inside: inside.to_vec(), imported_as });
    index
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, usize)> {
        let code = parse(text);
        paths(&code.tokens).iter().map(|path| (path.text(), path.line)).collect()
    }

    fn texts(text: &str) -> Vec<String> {
        found(text).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn import_trees_are_expanded() {
        let text = "pub use crate::{\n    net::{self, resolve as look_up},\n    plan::*,\n};";
        let expected = [("crate::net", 2), ("crate::net::resolve", 2), ("crate::plan::*", 3)];
        assert_eq!(found(text), expected.map(|(path, line)| (path.to_owned(), line)));
        let code = parse(text);
        let names: Vec<_> =
            paths(&code.tokens).into_iter().map(|path| path.imported_as.unwrap()).collect();
        assert_eq!(names, ["net", "look_up", "*"]);
    }

    #[test]
    fn paths_in_code_are_found() {
        let text = "fn f() -> std::io::Result<()> { crate::net::resolve(Instant::now()) }";
        assert_eq!(texts(text), ["std::io::Result", "crate::net::resolve", "Instant::now"]);
    }

    #[test]
    fn comments_and_strings_are_ignored() {
        let text = r##"// a::b
            /* c::d /* e::f */ g::h */
            const A: &str = "i::j \" k::l"; const B: &str = r#"m::n " o::p"#; const C: char = '"';
            fn f<'a>(x: &'a q::r) {}"##;
        assert_eq!(texts(text), ["q::r"]);
    }

    #[test]
    fn tests_are_removed() {
        let text = "use a::b;
            #[cfg(test)] use c::d;
            #[cfg(all(test, unix))] #[path = \"x\"] mod helper { use e::f; }
            struct S { #[cfg(test)] x: g::h, y: i::j }
            #[test] fn t() { k::l() }
            #[cfg(not(test))] fn n() { m::n() }
            #[cfg(test)] mod tests;
            #[cfg(test)] pub(crate) mod script;
            use o::p;";
        assert_eq!(texts(text), ["a::b", "i::j", "m::n", "o::p"]);
        assert_eq!(parse(text).test_modules, ["tests", "script"]);
    }

    #[test]
    fn comments_and_strings_of_tests_are_removed() {
        let text = "//! a
            const B: &str = \"b\"; // c

            /// Removed.
            #[cfg(test)] const C: &str = \"removed\";
            const D: &str = \"d\"; // e
            #[cfg(test)]
            mod tests {
                // Removed.
                const F: &str = \"removed\";
            }
            // f";
        let texts: Vec<String> = parse(text).texts.into_iter().map(|text| text.content).collect();
        assert_eq!(texts, ["//! a", "\"b\"", "// c", "\"d\"", "// e", "// f"]);
    }

    #[test]
    fn paths_include_the_inline_modules_that_contain_them() {
        let code = parse("mod outer { mod inner { use super::a; } use b::c; } use d::e;");
        let inside: Vec<_> = paths(&code.tokens).into_iter().map(|path| path.inside).collect();
        assert_eq!(inside, [vec!["outer", "inner"], vec!["outer"], vec![]]);
    }
}
