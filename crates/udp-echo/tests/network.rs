//! Tests of the UDP server in a network with an attacker that forges datagrams. `tests/network/reflect.py`
//! creates the network and sends the datagrams.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;
#[path = "../../../tests/network/script.rs"]
mod script;

use serde_json::json;

#[test]
fn servers_resist_forged_datagrams_and_reply_from_the_requested_address() {
    if !namespaces::is_possible("true") {
        return;
    }
    let results = script::run("reflect.py", [env!("CARGO_BIN_EXE_udp-echo")]);

    // Total number of replies that the two servers sent after one forged datagram.
    let replies = |case: &str| {
        let result = &results[case];
        assert_eq!(result["ended"], true, "{result}");
        ["a", "b"].map(|host| result[host]["answered"].as_u64().unwrap()).iter().sum::<u64>()
    };
    // The forged datagram has the hop limit 64. Each reply reduces the hop limit by one. So the
    // first reply has the hop limit 63. The last reply has the hop limit 1.
    for case in ["different ports", "different ports, empty datagram"] {
        assert_eq!(replies(case), 63, "{case}");
    }
    // A reply has a hop limit of at most 64.
    assert_eq!(replies("different ports, 255 hops"), 64);
    // The first datagram has lower-case letters, so it cannot be a reply. The first reply has the default hop
    // limit, 64.
    assert_eq!(replies("lower case"), 64);
    assert_eq!(replies("same port"), 0);
    assert_eq!(replies("default port"), 0);

    for address in ["10.80.0.1", "10.80.0.11", "fd80::1", "fd80::11"] {
        assert_eq!(results["several addresses"][address], json!([["FROM?", address]]));
    }
    assert_eq!(results["broadcast and multicast"], json!([[], [], []]));
    assert_eq!(results["segmented"], true);
    // The segments of the reply exceed the MTU of the return path, so the server sends them one by one.
    assert_eq!(results["segmented, small MTU back"], true);
    assert_eq!(results["totals"]["refused_source_port"], 6);
    assert_eq!(results["totals"]["refused_non_unicast"], 3);
}
