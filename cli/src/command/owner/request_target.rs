//! Request targets (RFC 9112, section 3.2) as Envoy accepts them, so that the command judges a path as Envoy does.
//!
//! The rules are those of Envoy's HTTP/1 codec (Balsa, then http_parser's URL in its strict form); tests/command compares
//! them with a real Envoy. A listener without TLS is assumed.

use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs};

/// `max_request_headers_kb`, whose default is 60.
const MAX_BYTES: usize = 60 * 1024;

/// The status of Envoy's own answer to a request that it rejects: 400; 403 for `https://`; 431 if the target is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejected(pub(crate) u16);

/// Returns the path and query that the filter sees.
pub(crate) fn path_of(target: &[u8]) -> Result<&[u8], Rejected> {
    // Spaces around it are not a part of the target.
    let target = target.trim_ascii();
    if target.len() > MAX_BYTES {
        return Err(Rejected(431));
    }
    if !target.iter().all(u8::is_ascii_graphic) {
        return Err(Rejected(400));
    }
    let path = if target.starts_with(b"/") { target } else { path_of_url(target)? };
    if path.contains(&b'#') { Err(Rejected(400)) } else { Ok(path) }
}

/// Returns the path of an absolute form.
fn path_of_url(target: &[u8]) -> Result<&[u8], Rejected> {
    let colon = target.iter().position(|&byte| byte == b':').ok_or(Rejected(400))?;
    let (scheme, rest) = target.split_at(colon);
    let rest = rest.strip_prefix(b"://").ok_or(Rejected(400))?;
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match scheme {
        _ if !is_authority(authority) => Err(Rejected(400)),
        _ if scheme.eq_ignore_ascii_case(b"http") => Ok(if path.is_empty() { b"/" } else { path }),
        _ if scheme.eq_ignore_ascii_case(b"https") => Err(Rejected(403)),
        _ => Err(Rejected(400)),
    }
}

fn is_authority(authority: &[u8]) -> bool {
    let Ok(authority) = std::str::from_utf8(authority) else { return false };
    let (user, host) = authority.split_once('@').unwrap_or(("", authority));
    if !user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()%;:&=+$,".contains(&byte)) {
        return false;
    }
    let (host, port) = match host.strip_prefix('[').map(|host| host.split_once(']')) {
        Some(Some((host, port))) if is_address(host) => ("", port),
        Some(_) => return false,
        None if host.is_empty() || host.starts_with(':') => return false,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Returns whether the text in brackets is an address. The zone of an IPv6 address is a number or an interface; Envoy and this
/// function ask the same function of the C library for the interfaces of their machine.
fn is_address(host: &str) -> bool {
    let Some((address, zone)) = host.split_once('%') else { return host.parse::<IpAddr>().is_ok() };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%.-_~".contains(&byte);
    address.parse::<Ipv6Addr>().is_ok() && zone.bytes().all(plain) && (host, 0).to_socket_addrs().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_path_that_the_filter_sees() {
        for (target, path) in [
            ("/metrics/job/a?x=1", "/metrics/job/a?x=1"),
            (" /metrics/job/a\t", "/metrics/job/a"),
            ("http://h/metrics/job/a", "/metrics/job/a"),
            ("HTTP://u:p@[::1]:80//a", "//a"),
            ("http://[fe80::1%25]/a", "/a"),
            ("http://[fe80::1%lo]/a", "/a"),
            ("http://h", "/"),
            ("http://h?x", "?x"),
        ] {
            assert_eq!(path_of(target.as_bytes()), Ok(path.as_bytes()), "{target:?}");
        }
        assert_eq!(path_of(&[b'/'; MAX_BYTES]).map(<[u8]>::len), Ok(MAX_BYTES));
    }

    #[test]
    fn finds_the_status_of_a_rejected_target() {
        for (target, status) in [
            ("", 400),
            (" ", 400),
            ("*", 400),
            ("metrics/job/a", 400),
            ("h:80", 400),
            ("/a b", 400),
            ("/é", 400),
            ("/a#b", 400),
            ("/\u{7f}", 400),
            ("http://h:/a", 400),
            ("http://h_h/a", 400),
            ("http://[fe80::1%]/a", 400),
            ("http://[fe80::1%25lo]/a", 400),
            ("http://[1.2.3.4%1]/a", 400),
            ("ws://h/a", 400),
            ("https://h_h/a", 400),
            ("http://h#b", 400),
            ("https://h/a", 403),
            ("https://h#b", 400),
            ("HTTPS://h", 403),
        ] {
            assert_eq!(path_of(target.as_bytes()), Err(Rejected(status)), "{target:?}");
        }
        assert_eq!(path_of(&[b'/'; MAX_BYTES + 1]), Err(Rejected(431)));
    }
}
