//! Request targets (RFC 9112, section 3.2) as Envoy accepts them, so that the command judges a path as Envoy does.
//!
//! The rules are those of Envoy's HTTP/1 codec (Balsa, then http_parser's URL in its strict form); tests/command compares
//! them with a real Envoy. A listener without TLS is assumed: it rejects `https://` with 403.

use std::net::IpAddr;

/// `max_request_headers_kb`, whose default is 60; Envoy answers 431 to more.
const MAX_BYTES: usize = 60 * 1024;

/// Returns the path and query that the filter sees. `None`: Envoy rejects the request itself (400, 403 or 431).
pub(crate) fn path_of(target: &[u8]) -> Option<&[u8]> {
    // Spaces around it are not a part of the target.
    let start = target.iter().position(|byte| !b" \t".contains(byte))?;
    let end = target.iter().rposition(|byte| !b" \t".contains(byte))?;
    let target = target.get(start..=end)?;
    let valid =
        target.len() <= MAX_BYTES && target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    match target {
        _ if !valid => None,
        [b'/', ..] => Some(target),
        _ => path_of_url(target),
    }
}

/// Returns the path of an absolute form.
fn path_of_url(target: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = target.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"http://") {
        return None;
    }
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    is_authority(authority).then_some(if path.is_empty() { b"/" } else { path })
}

fn is_authority(authority: &[u8]) -> bool {
    let Ok(authority) = std::str::from_utf8(authority) else { return false };
    let (user, host) = authority.split_once('@').unwrap_or(("", authority));
    if !user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()%;:&=+$,".contains(&byte)) {
        return false;
    }
    let (host, port) = match host.strip_prefix('[').map(|host| host.split_once(']')) {
        Some(Some((host, port))) if host.parse::<IpAddr>().is_ok() => ("", port),
        Some(_) => return false,
        None if host.is_empty() || host.starts_with(':') => return false,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_path_that_the_filter_sees() {
        for (target, path) in [
            ("/metrics/job/a?x=1", Some("/metrics/job/a?x=1")),
            (" /metrics/job/a\t", Some("/metrics/job/a")),
            ("http://h/metrics/job/a", Some("/metrics/job/a")),
            ("HTTP://u:p@[::1]:80//a", Some("//a")),
            ("http://h", Some("/")),
            ("http://h?x", Some("?x")),
            ("", None),
            (" ", None),
            ("*", None),
            ("metrics/job/a", None),
            ("h:80", None),
            ("/a b", None),
            ("/é", None),
            ("/a#b", None),
            ("/\u{7f}", None),
            ("http://h:/a", None),
            ("http://h_h/a", None),
            ("https://h/a", None),
        ] {
            assert_eq!(path_of(target.as_bytes()), path.map(str::as_bytes), "{target:?}");
        }
        assert_eq!(path_of(&[b'/'; MAX_BYTES]).map(<[u8]>::len), Some(MAX_BYTES));
        assert_eq!(path_of(&[b'/'; MAX_BYTES + 1]), None);
    }
}
