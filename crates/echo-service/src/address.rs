//! Parses the addresses of `--listen`.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// Parses an IP address with a port. An IPv6 address can have a zone (RFC 4007, section 11): the name or the
/// number of a network interface, as in `[fe80::1%eth0]:4000` or `[fe80::1%2]:4000`.
///
/// # Errors
///
/// A message for the user.
pub(crate) fn parse_socket_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    // The standard library parses a zone only if it is a number.
    let Some((ip, zone, port)) = split_zone(text) else {
        return Err(
            "expected an IP address with a port, for example 192.0.2.1:4000, [::1]:4000 or \
                    [fe80::1%eth0]:4000; host names are not resolved"
                .into(),
        );
    };
    let interface = interface_index(zone)?;
    Ok(SocketAddrV6::new(ip, port, 0, interface).into())
}

/// Splits `[IPV6%ZONE]:PORT`.
fn split_zone(text: &str) -> Option<(Ipv6Addr, &str, u16)> {
    let (address, port) = text.strip_prefix('[')?.split_once("]:")?;
    let (ip, zone) = address.split_once('%')?;
    Some((ip.parse().ok()?, zone, port.parse().ok()?))
}

#[cfg(all(unix, not(portable)))]
fn interface_index(name: &str) -> Result<u32, String> {
    nix::net::if_::if_nametoindex(name)
        .map_err(|_| format!("this host has no network interface `{name}`"))
}

#[cfg(not(all(unix, not(portable))))]
fn interface_index(name: &str) -> Result<u32, String> {
    Err(format!(
        "the zone `{name}` is not a number, and interface names are not available on this system"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_a_port_are_parsed() {
        for text in ["192.0.2.1:4000", "[::1]:4000", "[fe80::1%7]:4000"] {
            assert_eq!(parse_socket_address(text).unwrap().to_string(), text);
        }
        for text in
            ["localhost:4000", "192.0.2.1", "::1", "fe80::1%eth0", "[fe80::1%7]", "[::1%x:4"]
        {
            let error = parse_socket_address(text).unwrap_err();
            assert!(error.contains("[fe80::1%eth0]:4000"), "{text}: {error}");
        }
    }

    #[cfg(all(target_os = "linux", not(portable)))]
    #[test]
    fn a_zone_can_be_the_name_of_an_interface() {
        let address = parse_socket_address("[fe80::1%lo]:4000").unwrap();
        let SocketAddr::V6(address) = address else { panic!("{address}") };
        assert_eq!(address.scope_id(), interface_index("lo").unwrap());
        assert_ne!(address.scope_id(), 0);
    }

    #[test]
    fn an_unknown_zone_is_named_in_the_error() {
        let error = parse_socket_address("[fe80::1%absent0]:4000").unwrap_err();
        assert!(error.contains("`absent0`"), "{error}");
    }
}
