//! Words and patterns that the project does not use.

use super::Violation;
use super::source::SourceFile;

/// Words that personify programs, or that leave open which program is meant.
const FORBIDDEN_WORDS: [&str; 7] =
    ["told", "tell", "tells", "nobody", "somebody", "whoever", "untold"];

/// Files that may contain these words, and in how many lines.
const ALLOWANCES: [(&str, usize); 1] = [
    // The list above.
    ("xtask/src/code_rules/language.rs", 1),
];

/// The directories in which the words are forbidden.
const DIRECTORIES: [&str; 2] = ["crates/", "xtask/"];

/// Checks one file.
pub(super) fn check(source: &SourceFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    if DIRECTORIES.iter().any(|directory| source.path.starts_with(directory)) {
        violations.extend(check_words(source));
    }
    violations.extend(check_code(source));
    violations
}

fn check_words(source: &SourceFile) -> Vec<Violation> {
    let allowance = ALLOWANCES.iter().find(|(path, _)| *path == source.path);
    let allowed_lines = allowance.map_or(0, |(_, lines)| *lines);
    let lines = source.lines().filter_map(|(number, line)| Some((number, forbidden_word(line)?)));
    let violations = lines.skip(allowed_lines).map(|(number, word)| Violation {
        file: source.path.clone(),
        line: Some(number),
        found: format!("contains the word `{word}`"),
        rule: "name the program or the value, and use a verb for what it does (CONTRIBUTING.md, \
               Language)"
            .to_owned(),
    });
    violations.collect()
}

/// The first forbidden word in a line. A word ends at anything other than a letter, a digit or `_`.
fn forbidden_word(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.find(|word| FORBIDDEN_WORDS.contains(word))
}

fn check_code(source: &SourceFile) -> Vec<Violation> {
    let texts: Vec<&str> = source.code.tokens.iter().map(|token| token.text.as_str()).collect();
    let mut violations = Vec::new();
    for (index, token) in source.code.tokens.iter().enumerate() {
        let mut report = |found: String, rule: &str| {
            violations.push(Violation {
                file: source.path.clone(),
                line: Some(token.line),
                found,
                rule: rule.to_owned(),
            });
        };
        if let ["fn", name, ..] = texts[index..]
            && name.starts_with("get_")
        {
            report(
                format!("defines `{name}`"),
                "a getter has the name of the value, without `get_`",
            );
        }
        if is_nested_result(&texts[index..]) {
            report(
                "nests a `Result` in a `Result`".to_owned(),
                "an enum with named variants replaces a nested `Result`",
            );
        }
    }
    violations
}

/// Whether a `Result` starts here whose first argument is a `Result` too: `Result<io::Result<…`.
fn is_nested_result(texts: &[&str]) -> bool {
    let ["Result", "<", rest @ ..] = texts else { return false };
    let mut rest = rest;
    while let [_, "::", below @ ..] = rest {
        rest = below;
    }
    rest.starts_with(&["Result", "<"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        check(&SourceFile::new(path, text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn forbidden_words_are_reported_in_comments_and_names() {
        for word in FORBIDDEN_WORDS {
            let text = format!("//! Header.\n// A socket is {word}.\n");
            let expected =
                format!("crates/a.rs:2: contains the word `{word}`; RULE: name the program");
            let found = violations("crates/a.rs", &text);
            assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
            assert_eq!(violations("crates/a.rs", &format!("let {word} = 1;")).len(), 1);
            assert_eq!(violations("tests/a.rs", &text), [""; 0]);
            assert_eq!(
                violations("crates/a.rs", &format!("// re{word} {word}_x {word}ing")),
                [""; 0]
            );
        }
    }

    #[test]
    fn lines_beyond_the_allowance_of_a_file_are_reported() {
        let [(path, lines)] = ALLOWANCES;
        let line = format!("// {}\n", FORBIDDEN_WORDS[0]);
        assert_eq!(violations(path, &line.repeat(lines)), [""; 0]);
        assert_eq!(violations(path, &line.repeat(lines + 1)).len(), 1);
    }

    #[test]
    fn getters_with_a_prefix_are_reported() {
        assert_eq!(
            violations("a.rs", "\nfn get_size() {}"),
            [
                "a.rs:2: defines `get_size`; RULE: a getter has the name of the value, without `get_`"
            ]
        );
        assert_eq!(violations("a.rs", "fn size() { map.get_mut(1); budget_size() }"), [""; 0]);
    }

    #[test]
    fn nested_results_are_reported() {
        for text in
            ["fn f() -> Result<Result<u8, A>, B> {}", "type T = io::Result<std::io::Result<()>>;"]
        {
            let found = violations("a.rs", text);
            assert_eq!(
                found,
                [
                    "a.rs:1: nests a `Result` in a `Result`; RULE: an enum with named variants replaces a nested `Result`"
                ]
            );
        }
        assert_eq!(
            violations("a.rs", "fn f() -> Result<Option<Result<u8>>> {} // Result<Result<"),
            [""; 0]
        );
    }
}
