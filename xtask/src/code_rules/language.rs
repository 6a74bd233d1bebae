//! Words and patterns that the project does not use. The tests contain code that breaks the rules, as their input.

use super::Violation;
use super::source::SourceFile;

/// Words that personify programs, and words that hide which program or person acts.
const FORBIDDEN_WORDS: [&str; 7] =
    ["told", "tell", "tells", "nobody", "somebody", "whoever", "untold"];

/// Verbs that personify programs. They are allowed in messages for people, so this rule checks only comments.
const FORBIDDEN_IN_COMMENTS: [&str; 4] = ["asks", "knows", "says", "wants"];

/// Files that may contain [`FORBIDDEN_WORDS`], each with the number of lines that may contain them.
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

fn forbidden_word(line: &str) -> Option<&str> {
    let comment = line.find("//").map_or("", |start| &line[start..]);
    words(line)
        .find(|word| FORBIDDEN_WORDS.contains(word))
        .or_else(|| words(comment).find(|word| is_forbidden_in_comments(word)))
}

fn is_forbidden_in_comments(word: &str) -> bool {
    FORBIDDEN_IN_COMMENTS.iter().any(|forbidden| word.eq_ignore_ascii_case(forbidden))
}

/// The words of a line. A word consists of letters, digits and `_`.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
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

/// Whether the tokens start with a `Result` in a `Result`: `Result<io::Result<…`.
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
    fn forbidden_words_are_reported_everywhere_in_a_file() {
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
    fn personifying_verbs_are_reported_in_comments_only() {
        for verb in FORBIDDEN_IN_COMMENTS {
            for text in [format!("/// A server {verb} it."), format!("f(); // {verb}: {verb}")] {
                let found = violations("crates/a.rs", &text);
                assert_eq!(found.len(), 1, "{text}: {found:?}");
            }
            assert_eq!(violations("crates/a.rs", &format!("let text = \"{verb}\";")), [""; 0]);
            assert_eq!(violations("crates/a.rs", &format!("// un{verb}, {verb}_x")), [""; 0]);
        }
        let capitalized = format!("/// {}", FORBIDDEN_IN_COMMENTS[0].replace('a', "A"));
        assert_eq!(violations("crates/a.rs", &capitalized).len(), 1);
    }

    #[test]
    fn lines_beyond_the_allowance_of_a_file_are_reported() {
        let [(path, lines)] = ALLOWANCES;
        let line = format!("// {}\n", FORBIDDEN_WORDS[0]);
        assert_eq!(violations(path, &line.repeat(lines)), [""; 0]);
        assert_eq!(violations(path, &line.repeat(lines + 1)).len(), 1);
    }

    #[test]
    fn functions_with_the_prefix_get_are_reported() {
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
