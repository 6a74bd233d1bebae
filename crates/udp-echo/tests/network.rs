//! The UDP server among several hosts, with datagrams that somebody forges: `tests/network/reflect.py` makes
//! them.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

#[test]
fn it_has_no_part_in_an_attack_and_answers_from_the_address_that_was_asked() {
    if !namespaces::is_possible("true") {
        return;
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/network/reflect.py");
    let output = Command::new("unshare")
        .args(["-Urnm", "python3"])
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_udp-echo"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();

    let answered = |case: &str| {
        let case = &told[case];
        assert_eq!(case["ended"], true, "{case}");
        ["a", "b"].map(|host| case[host]["answered"].as_u64().unwrap()).iter().sum::<u64>()
    };
    // Each answer has a hop fewer than what it answers, and 64 at most.
    for case in ["different ports", "different ports, nothing in it"] {
        assert_eq!(answered(case), 63, "{case}");
    }
    assert_eq!(answered("different ports, 255 hops"), 64);
    // The first answer is to text that is nobody's answer.
    assert_eq!(answered("small letters"), 64);
    assert_eq!(answered("one port"), 0);
    assert_eq!(answered("the default port"), 0);

    for address in ["10.80.0.1", "10.80.0.11", "fd80::1", "fd80::11"] {
        assert_eq!(told["several addresses"][address], json!([["FROM?", address]]));
    }
    assert_eq!(told["to many"], json!([[], [], []]));
    assert_eq!(told["together"], true);
    assert_eq!(told["together, but not back"], true, "one by one where they don't fit together");
    assert_eq!(told["refused"]["refused_port"], 6);
    assert_eq!(told["refused"]["refused_address"], 3);
}
