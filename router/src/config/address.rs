//! Checks of member addresses and names.

use std::net::{Ipv6Addr, SocketAddr};

/// Length limit of a DNS name.
const MAX_NAME_BYTES: usize = 253;

/// Returns whether `name` can be the identity of a member. Commas separate the destinations in a header.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && is_visible(name) && !name.contains(',')
}

/// Returns whether every byte is visible ASCII, and so safe in a header value.
pub(crate) fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// Returns whether `address` is `host:port` with a DNS name, an IPv4 address or a bracketed IPv6 address, and a
/// port of 1 to 65535.
pub(crate) fn is_host_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let port_ok = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    let host_ok = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
        None => {
            (1..=MAX_NAME_BYTES).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        }
    };
    port_ok && host_ok
}

/// Returns the canonical text (RFC 5952) of an address whose host is an IP literal, and `None` for a host name. Envoy's
/// `override_host` compares this text.
pub(crate) fn canonical_ip(address: &str) -> Option<String> {
    address.parse::<SocketAddr>().ok().map(|a| a.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_port() {
        for good in ["10.0.0.1:9091", "[::1]:1", "pushgateway-0.svc.local:65535", "a_b:80"] {
            assert!(is_host_port(good), "{good}");
        }
        for bad in [
            "", ":", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "::1:9091", "[::1]", "[x]:1", "a b:1",
            "a/b:1",
        ] {
            assert!(!is_host_port(bad), "{bad}");
        }
    }

    #[test]
    fn canonical() {
        assert_eq!(canonical_ip("[0::1]:9091").as_deref(), Some("[::1]:9091"));
        assert_eq!(canonical_ip("10.0.0.1:9091").as_deref(), Some("10.0.0.1:9091"));
        assert_eq!(canonical_ip("db:9091"), None);
    }
}
