//! Tests of the name resolution.

use super::*;

static STOP: AtomicBool = AtomicBool::new(false);

fn limits() -> LookUpLimits<'static> {
    LookUpLimits { timeout: Duration::from_secs(5), stop: &STOP }
}

/// The addresses to try.
fn addresses(host: &str, family: Option<Family>) -> Vec<SocketAddr> {
    resolve(host, 9, family, limits()).unwrap().addresses
}

fn parsed(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

#[test]
fn ip_address_resolves_to_itself() {
    assert_eq!(addresses("192.0.2.7", None), parsed(&["192.0.2.7:9"]));
    assert_eq!(addresses("2001:db8::7", Some(Family::V6)), parsed(&["[2001:db8::7]:9"]));
}

#[test]
fn versions_of_ip_alternate_in_the_order_of_the_resolver() {
    let v6 = ["[2001:db8::1]:9", "[2001:db8::2]:9", "[2001:db8::3]:9"];
    let v4 = ["192.0.2.1:9", "192.0.2.2:9"];
    let sorted = parsed(&[&v6[..], &v4[..]].concat());
    assert_eq!(addresses_to_try(&sorted), parsed(&[v6[0], v4[0], v6[1], v4[1], v6[2]]));
    let sorted = parsed(&[&v4[..], &v6[..]].concat());
    assert_eq!(addresses_to_try(&sorted), parsed(&[v4[0], v6[0], v4[1], v6[1], v6[2]]));
    assert_eq!(addresses_to_try(&parsed(&v6)), parsed(&v6));
}

#[test]
fn number_of_addresses_to_try_is_limited_for_both_versions_of_ip_together() {
    let v6 = (0..3000_u16).map(|last| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 9)));
    let v4 = (0..=255).map(|last| SocketAddr::from(([192, 0, 2, last], 9)));
    let all: Vec<SocketAddr> = v6.chain(v4).collect();
    let tried = addresses_to_try(&all);
    assert_eq!(tried.len(), MAX_ADDRESSES);
    assert_eq!(tried.iter().filter(|address| address.is_ipv4()).count(), MAX_ADDRESSES / 2);
}

#[test]
fn address_of_the_other_ip_version_is_an_error() {
    let error = resolve("192.0.2.7", 9, Some(Family::V6), limits()).unwrap_err();
    assert_eq!(error.condition(), Condition::NameNotFound);
    assert_eq!(error.to_string(), "the host has no IPv6 address");
    assert!(error.is_other_version());
}

#[test]
fn localhost_resolves_to_loopback_addresses() {
    for address in addresses("localhost", None) {
        assert!(address.ip().is_loopback() && address.port() == 9, "{address}");
    }
}

#[test]
fn stop_flag_interrupts_a_look_up_but_not_the_use_of_an_address() {
    let limits = LookUpLimits { stop: &AtomicBool::new(true), ..limits() };
    let error = resolve("localhost", 9, None, limits).unwrap_err();
    assert!(matches!(error, ResolveError::Interrupted), "{error}");
    assert!(resolve("192.0.2.7", 9, None, limits).is_ok());
}

#[test]
fn numeric_zone_becomes_the_scope_id() {
    for (text, ip) in [("fe80::1%7", "fe80::1"), ("::1%7", "::1")] {
        let expected = SocketAddrV6::new(ip.parse().unwrap(), 9, 0, 7).into();
        assert_eq!(addresses(text, None), [expected]);
        assert_eq!(local_address(text).unwrap().ip(), expected.ip());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn interface_name_in_a_zone_becomes_the_scope_id() {
    for text in ["fe80::1%lo", "::1%lo"] {
        let SocketAddr::V6(found) = addresses(text, None)[0] else {
            panic!("{text} is an IPv6 address");
        };
        assert_eq!(found.scope_id(), 1, "the loopback interface has index 1");
        assert_eq!(local_address(text).unwrap(), SocketAddrV6::new(*found.ip(), 0, 0, 1).into());
    }
}

#[test]
fn unknown_zone_is_an_error() {
    let error = resolve("fe80::1%no-such-if", 9, None, limits()).unwrap_err();
    assert_eq!(error.condition(), Condition::NameNotFound);
    assert_eq!(error.to_string(), "this host has no interface `no-such-if`");
    let error = local_address("fe80::1%no-such-if").unwrap_err();
    assert_eq!(error.to_string(), "this host has no interface `no-such-if`");
}

#[test]
fn local_address_can_have_a_port() {
    for (text, expected) in [
        ("192.0.2.1", "192.0.2.1:0"),
        ("192.0.2.1:5000", "192.0.2.1:5000"),
        ("192.0.2.1:0", "192.0.2.1:0"),
        ("[fe80::1%7]:0", "[fe80::1%7]:0"),
        ("2001:db8::1:0", "[2001:db8::1:0]:0"),
        ("2001:db8::1", "[2001:db8::1]:0"),
        ("[2001:db8::1]", "[2001:db8::1]:0"),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5000"),
        ("[fe80::1%7]:5000", "[fe80::1%7]:5000"),
    ] {
        assert_eq!(local_address(text).unwrap(), expected.parse().unwrap(), "{text}");
    }
}

#[test]
fn name_url_or_invalid_port_is_not_a_local_address() {
    for text in ["localhost", "localhost:5000", "udp://192.0.2.1", "192.0.2.1:0:0", "192.0.2.1:x"] {
        let error = local_address(text).unwrap_err();
        assert!(error.to_string().contains(&format!("`{text}` is not an IP address")), "{error}");
    }
}
