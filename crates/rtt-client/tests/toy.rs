//! Runs every command with the toy protocol (`src/protocol/toy.rs`). The toy protocol has two connection phases and
//! unordered replies. It has no kernel statistics, and no packets can be captured. So this test fails if generic code
//! depends on a real protocol.
//!
//! This test needs the feature `toy-protocol`. `cargo xtask ci` runs it.

#[path = "command/output.rs"]
mod output;

use output::{client, without_alignment, without_host, without_numbers};

/// Runs the client and checks its exit status. Returns its output as text, without numbers and alignment.
fn text(arguments: &[&str], status: i32) -> String {
    let result = client(arguments, "");
    assert_eq!(result.status, Some(status), "{arguments:?}: {}{}", result.out, result.err);
    without_numbers(&without_alignment(&(result.out + &result.err)))
}

/// Like [`text`], with the output as JSON.
fn json(arguments: &[&str], status: i32) -> String {
    let result = client(&[arguments, &["--format", "json"]].concat(), "");
    assert_eq!(result.status, Some(status), "{arguments:?}: {}{}", result.out, result.err);
    without_numbers(&without_host(&result.out))
}

/// The text of a comparison, without the parts that depend on the measured times: bars, signs, units and line breaks. The
/// result has one line for each sentence.
fn without_times(text: &str) -> String {
    let is_bar = |line: &&str| line.chars().any(|c| ('\u{2581}'..='\u{2588}').contains(&c));
    let mut text = text.lines().filter(|line| !is_bar(line)).collect::<Vec<_>>().join(" ");
    for (measured, replacement) in [
        ("-0", "0"),
        ("+0", "0"),
        ("µs", "ms"),
        ("0,0", "0"),
        (": no effect", ": 0.0 ms"),
        ("slower in 0 of 0 pairs", "slower in all pairs"),
        ("slower in 0 % of the pairs", "slower in all pairs"),
        // The number of quantiles depends on the number of values.
        ("\"p0\":0,\"p0\":0,\"p0\":0,", "\"p0\":0,"),
        ("\"p0\":0,\"p0\":0,", "\"p0\":0,"),
        (" Before the first reply, the server must accept the connection.", ""),
        (". ", ".\n"),
    ] {
        text = text.replace(measured, replacement);
    }
    text
}

#[test]
fn one_exchange_shows_each_phase_of_the_connection() {
    let arguments = ["toy", "127.0.0.1", "hello, world"];
    insta::assert_snapshot!("toy_exchange_text", text(&arguments, 0));
    insta::assert_snapshot!("toy_exchange_json", json(&arguments, 0));
}

/// The text without the paragraph about a slow first exchange. It depends on the load of the machine.
fn without_cold_start(text: &str) -> String {
    match (text.find("The first exchange on"), text.find("Request rate")) {
        (Some(start), Some(end)) => format!("{}{}", &text[..start], &text[end..]),
        _ => text.to_owned(),
    }
}

#[test]
fn series_counts_replies_in_another_order() {
    let arguments = ["toy", "127.0.0.1:4002", "-c", "8", "--rate", "100", "-q"];
    let text = client(&arguments, "").out;
    assert!(text.contains("8 sent, 8 received, 0 lost"), "{text}");
    assert!(text.contains("Unusual replies: 2 out of order"), "{text}");
    let text = without_numbers(&without_alignment(&without_cold_start(&text)));
    // The rate is a whole number in some runs, and has a decimal in others.
    let text = text.replace("rate: 0.0 per", "rate: 0 per");
    insta::assert_snapshot!("toy_series_text", text);
    insta::assert_snapshot!("toy_series_json", json(&arguments, 0));
    let csv = client(&["toy", "127.0.0.1", "-c", "2", "-i", "0", "--format", "csv"], "").out;
    insta::assert_snapshot!("toy_series_csv", without_numbers(&csv));
    let each = ["toy", "127.0.0.1", "-c", "2", "-i", "0", "--connection", "each"];
    insta::assert_snapshot!("toy_new_connections_text", self::text(&each, 0));
}

#[test]
fn failed_phase_ends_the_attempt() {
    let arguments = ["toy", "127.0.0.1:4003", "-c", "2"];
    insta::assert_snapshot!("toy_refused_text", text(&arguments, 1));
    insta::assert_snapshot!("toy_refused_json", json(&arguments, 1));
    let arguments = ["toy", "127.0.0.1:4004", "hello", "-W", "0.1"];
    insta::assert_snapshot!("toy_silent_text", text(&arguments, 1));
}

#[test]
fn comparison_has_causes_and_no_claims_of_other_protocols() {
    let arguments =
        ["compare", "toy://127.0.0.1:4000", "toy://127.0.0.1:4001", "-c", "150", "--seed", "1"];
    insta::assert_snapshot!("toy_compare_text", without_times(&text(&arguments, 0)));
    let verdict = json(&[&arguments[..], &["-q"]].concat(), 0);
    insta::assert_snapshot!("toy_compare_json", without_times(&verdict));
}

/// The output of a diagnosis without the conclusion about the host, which depends on the rights of the user.
fn finding(output: &str) -> String {
    let is_host = |line: &str| line.starts_with("Host ") || line.contains("\"type\":\"host\"");
    let lines: Vec<&str> = output.lines().take_while(|line| !is_host(line)).collect();
    lines.join("\n")
}

#[test]
fn diagnosis_uses_the_explanation_of_the_protocol() {
    let arguments = ["diagnose", "toy://127.0.0.1:4003"];
    insta::assert_snapshot!("toy_diagnose_text", finding(&text(&arguments, 1)));
    insta::assert_snapshot!("toy_diagnose_json", finding(&json(&arguments, 1)));
    let answering = ["diagnose", "toy://127.0.0.1"];
    insta::assert_snapshot!("toy_diagnose_answering_text", finding(&text(&answering, 0)));
    let silent = ["diagnose", "toy://127.0.0.1:4004", "-W", "0.1"];
    insta::assert_snapshot!("toy_diagnose_silent_text", finding(&text(&silent, 1)));
}

#[test]
fn trace_reports_that_it_cannot_capture_the_packets() {
    let result = client(&["trace", "toy://127.0.0.1"], "");
    assert_eq!((result.status, result.out.as_str()), (Some(2), ""), "{}", result.err);
    insta::assert_snapshot!("toy_trace_text", result.err);
}

#[test]
fn help_and_list_of_protocols_include_the_toy_protocol() {
    insta::assert_snapshot!("toy_help_text", client(&["toy", "-h"], "").out);
    let help = client(&["--help"], "").out;
    assert!(help.contains("  toy "), "{help}");
    let protocols = client(&["protocols", "--format", "json"], "").out;
    let toy = protocols.lines().find(|line| line.contains("\"name\":\"toy\"")).unwrap();
    insta::assert_snapshot!("toy_protocols_json", toy);
    let list = client(&["protocols"], "").out;
    assert!(list.contains("Toy"), "{list}");
}
