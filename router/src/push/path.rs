//! Request paths as Go's net/http and the Pushgateway's router read them.
//!
//! The rules come from Go 1.26 (net/url, net/http `ServeMux`) and httprouter 1.3. The end-to-end tests check them
//! against a real Pushgateway.

use std::borrow::Cow;

/// A request target, split at the query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'p> {
    /// Path as received, still encoded.
    pub(crate) raw: &'p [u8],
    /// The query with its `?`; empty if there is none.
    pub(crate) query: &'p [u8],
}

impl<'p> Target<'p> {
    pub(crate) fn split(target: &'p [u8]) -> Self {
        let end = target.iter().position(|&b| b == b'?').unwrap_or(target.len());
        let (raw, query) = target.split_at_checked(end).unwrap_or((target, &[]));
        Self { raw, query }
    }
}

/// A path after percent-decoding.
#[derive(Clone, Debug)]
pub(crate) struct Decoded<'p> {
    pub(crate) bytes: Cow<'p, [u8]>,
    /// The path has a `%` without two hex digits after it. Go rejects such a request.
    pub(crate) broken: bool,
}

/// Percent-decodes once, as Go's `URL.Path` does: `+` and a broken `%` stay. Allocates only if there is a `%`.
pub(crate) fn decode(raw: &[u8]) -> Decoded<'_> {
    if !raw.contains(&b'%') {
        return Decoded { bytes: Cow::Borrowed(raw), broken: false };
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut broken = false;
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, after @ ..] => hex(*high).zip(hex(*low)).map(|(h, l)| (h << 4 | l, after)),
            _ => None,
        };
        broken |= *first == b'%' && escaped.is_none();
        let (byte, after) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = after;
    }
    Decoded { bytes: Cow::Owned(bytes), broken }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// The parts of a decoded push path `<path_prefix>/metrics/job[@base64]/<job>[/<labels>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PushPath<'d> {
    /// The job component as written, up to the next slash.
    pub(crate) job: &'d [u8],
    /// Whether the job is base64.
    pub(crate) job_base64: bool,
    /// Everything after the slash that ends the job; empty if there are no labels.
    pub(crate) labels: &'d [u8],
}

impl<'d> PushPath<'d> {
    /// Splits a push path. Returns `None` for other paths, and for `/metrics/job/` with nothing after it, which the
    /// Pushgateway answers with 404.
    pub(crate) fn split(decoded: &'d [u8], path_prefix: &str) -> Option<Self> {
        let rest = decoded.strip_prefix(path_prefix.as_bytes())?.strip_prefix(b"/metrics/job")?;
        let (rest, job_base64) = match rest.strip_prefix(b"@base64") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let rest = rest.strip_prefix(b"/").filter(|rest| !rest.is_empty())?;
        let mut parts = rest.splitn(2, |&b| b == b'/');
        let job = parts.next()?;
        Some(Self { job, job_base64, labels: parts.next().unwrap_or_default() })
    }

    /// Returns whether a path as received is a push path.
    pub(crate) fn is(raw: &[u8], path_prefix: &str) -> bool {
        PushPath::split(&decode(raw).bytes, path_prefix).is_some()
    }
}

/// Returns the path that Go's `ServeMux` redirects to before any handler sees the request, or `None` if the path is
/// clean. `ServeMux` leaves encoded dots and slashes alone, unless the path contains bytes that must be encoded in a
/// path: then it cleans its own encoding of the decoded path.
pub(crate) fn cleaned(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.contains(&b'%') && !raw.iter().all(|&b| is_path_byte(b) || b == b'%') {
        let decoded = decode(raw).bytes;
        return clean(&decoded).map(|path| encode(&path));
    }
    clean(raw)
}

/// Returns the path and query to which [`crate::Router::decide`] redirects a push that Go's `ServeMux` would redirect.
///
/// A clean path comes back as it is. Allocates only if the path is not clean.
///
/// ```
/// let clean = pushring_router::clean_path(b"/metrics//job/a?x=1");
/// assert_eq!(&*clean, b"/metrics/job/a?x=1");
/// ```
#[must_use]
pub fn clean_path(path: &[u8]) -> Cow<'_, [u8]> {
    let target = Target::split(path);
    match cleaned(target.raw) {
        Some(clean) if !decode(target.raw).broken => Cow::Owned([&clean, target.query].concat()),
        _ => Cow::Borrowed(path),
    }
}

/// Go's `cleanPath` for a path that starts with a slash: resolves empty, `.` and `..` segments and keeps a slash at
/// the end.
fn clean(path: &[u8]) -> Option<Vec<u8>> {
    let may_need_cleaning = path.windows(2).any(|pair| matches!(pair, [b'/', b'/' | b'.']));
    if !may_need_cleaning {
        return None;
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&b| b == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for segment in &segments {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if out.is_empty() || path.ends_with(b"/") {
        out.push(b'/');
    }
    (out != path).then_some(out)
}

/// The bytes that Go leaves unencoded in a path, and those it accepts there (`[` and `]`).
fn is_path_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@/[]".contains(&b)
}

/// Percent-encodes every byte that is not a path byte, in upper-case hex.
pub(crate) fn encode(path: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(path.len());
    for &b in path {
        if is_path_byte(b) && !b"[]".contains(&b) {
            out.push(b);
        } else {
            out.push(b'%');
            out.extend([b >> 4, b & 15].iter().filter_map(|&n| HEX.get(usize::from(n))));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once() {
        for (raw, want, broken) in [
            ("/a%20b+c", "/a b+c", false),
            ("/%2541", "/%41", false),
            ("/%6A%6a", "/jj", false),
            ("/a%zz%4", "/a%zz%4", true),
            ("/%", "/%", true),
        ] {
            let decoded = decode(raw.as_bytes());
            assert_eq!((&*decoded.bytes, decoded.broken), (want.as_bytes(), broken), "{raw}");
        }
    }

    #[test]
    fn splits_push_paths() {
        let split = |p: &'static str| PushPath::split(p.as_bytes(), "");
        let push = |job: &'static str, job_base64, labels: &'static str| {
            Some(PushPath { job: job.as_bytes(), job_base64, labels: labels.as_bytes() })
        };
        assert_eq!(split("/metrics/job/a"), push("a", false, ""));
        assert_eq!(split("/metrics/job/a/"), push("a", false, ""));
        assert_eq!(split("/metrics/job@base64/YQ/b/c"), push("YQ", true, "b/c"));
        assert_eq!(split("/metrics/job//x"), push("", false, "x"));
        for none in [
            "/metrics",
            "/metrics/job",
            "/metrics/job/",
            "/metrics/job@base64/",
            "/metrics/jobs/a",
            "/api/v1",
        ] {
            assert_eq!(split(none), None, "{none}");
        }
        assert!(PushPath::split(b"/p/metrics/job/a", "/p").is_some());
        assert!(PushPath::split(b"/metrics/job/a", "/p").is_none());
    }

    #[test]
    fn cleans_as_go_does() {
        for (raw, want) in [
            ("/metrics//job/a", Some("/metrics/job/a")),
            ("/metrics/job/a//", Some("/metrics/job/a/")),
            ("/metrics/job/x/../a", Some("/metrics/job/a")),
            ("/metrics/job/./a", Some("/metrics/job/a")),
            ("/metrics/job/a/..", Some("/metrics/job")),
            ("/../..", Some("/")),
            ("/metrics/job/.hidden/..x/y", None),
            ("/metrics/job/%2e%2e/a%2F%2Fb", None),
            ("/metrics/job/a%2F%2Fb/c\"", Some("/metrics/job/a/b/c%22")),
        ] {
            let got = cleaned(raw.as_bytes());
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{raw}");
        }
    }
}
