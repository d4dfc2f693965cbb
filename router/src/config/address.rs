//! Checks of member addresses and names.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Length limit of a DNS name.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

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
            let labels = host.strip_suffix('.').unwrap_or(host).split('.');
            host.len() <= MAX_NAME_BYTES
                && labels.clone().all(|label| (1..=MAX_LABEL_BYTES).contains(&label.len()))
                && labels.flat_map(str::bytes).all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        }
    };
    port_ok && host_ok
}

/// Returns the one spelling of an address, which [`crate::Config::parse`] uses to find a gateway that is listed twice:
///
/// * a host name in lower case and without a final dot
/// * an IPv6 address as RFC 5952 writes it, in brackets
/// * an IPv4 address mapped into IPv6 (`::ffff:10.0.0.1`) as that IPv4 address
///
/// `None`: no `host:port`, or an IPv4 address in another notation, such as `010.0.0.1`, `0x7f.1`, `127.1` or
/// `2130706433`. Programs disagree about these: some resolve them as names, others read them as octal numbers.
///
/// ```
/// use pushring_router::canonical_address;
///
/// assert_eq!(canonical_address("PG.Example.com.:9091").as_deref(), Some("pg.example.com:9091"));
/// assert_eq!(canonical_address("[::ffff:10.0.0.1]:9091").as_deref(), Some("10.0.0.1:9091"));
/// assert_eq!(canonical_address("010.0.0.1:9091"), None);
/// ```
#[must_use]
pub fn canonical_address(address: &str) -> Option<Cow<'_, str>> {
    let (host, port) = address.rsplit_once(':').filter(|_| is_host_port(address))?;
    let is_name = !host.starts_with('[');
    let ipv4 = host.parse::<Ipv4Addr>();
    // Nearly all addresses: a reload reads each of them, so nothing is formatted.
    let lower =
        !host.bytes().any(|b| b.is_ascii_uppercase()) && !host.ends_with('.') && !port.starts_with('0');
    if is_name && lower && (ipv4.is_ok() || !ends_in_a_number(host)) {
        return Some(address.into());
    }
    let port: u16 = port.parse().ok()?;
    let host = host.strip_suffix('.').unwrap_or(host);
    let ip = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(ip) => Some(ip.parse::<Ipv6Addr>().ok()?.to_canonical()),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::from),
    };
    match ip {
        Some(ip) => Some(SocketAddr::new(ip, port).to_string().into()),
        None if ends_in_a_number(host) => None,
        None => Some(format!("{}:{port}", host.to_ascii_lowercase()).into()),
    }
}

/// Returns whether a host is an IPv4 address to those who accept more than four decimal numbers (WHATWG URL, inet_aton).
fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Returns whether the host is an IP address and not a name.
pub(crate) fn is_ip(address: &str) -> bool {
    address.parse::<SocketAddr>().is_ok()
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
            "", ":", "a", "a:", ".:1", ".a:1", "a..b:1", "a..:1", ":1", "a:0", "a:65536", "a:+1", "::1:9091",
            "[::1]", "[x]:1", "a b:1", "a/b:1",
        ] {
            assert!(!is_host_port(bad), "{bad}");
        }
    }

    #[test]
    fn one_spelling() {
        for (canonical, spellings) in [
            (
                "10.0.0.1:9091",
                &["10.0.0.1:9091", "10.0.0.1.:9091", "[::ffff:10.0.0.1]:9091", "[::FFFF:a00:1]:9091"][..],
            ),
            ("[2001:db8::1]:9091", &["[2001:DB8:0:0::1]:9091", "[2001:db8::0.0.0.1]:09091"]),
            ("pg.example.com:9091", &["PG.example.COM:9091", "pg.example.com.:9091"]),
            ("10.0.0.1.example.com:1", &["10.0.0.1.example.com:1"]),
            ("0x7f.host:1", &["0X7F.host:1"]),
        ] {
            for spelling in spellings {
                assert_eq!(canonical_address(spelling).as_deref(), Some(canonical), "{spelling}");
            }
            assert_eq!(canonical_address(canonical).as_deref(), Some(canonical));
        }
        for refused in [
            "010.0.0.1:9091",
            "0x7f.1:9091",
            "127.1:9091",
            "2130706433:9091",
            "0x7f000001:9091",
            "10.0.0.256:9091",
            "1.2.3.4.5:9091",
            "pg.0x:9091",
            "host.7:9091",
            "[fe80::1%eth0]:9091",
            ".:9091",
            "a..b:9091",
            "a:0",
        ] {
            assert_eq!(canonical_address(refused), None, "{refused}");
        }
    }
}
