//! Request paths as Go's net/http and the Pushgateway's router see them.
//!
//! Rules read in Go 1.26 (net/url, net/http `ServeMux`) and httprouter 1.3, and held by a real Pushgateway
//! as referee in the end-to-end tests.

use std::borrow::Cow;

use super::component::{Component, Components, DOT, ESCAPE, QUERY, SLASH, kinds};

/// A request target split at the query, looked through once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'p> {
    /// Path as received, still encoded.
    pub(crate) raw: &'p [u8],
    /// The query with its `?`; empty when there is none.
    pub(crate) query: &'p [u8],
    /// The path has a `%`.
    escaped: bool,
    /// The path has a slash or a dot after a slash: without, it is clean.
    suspect: bool,
}

impl<'p> Target<'p> {
    pub(crate) fn split(target: &'p [u8]) -> Self {
        let (mut cut, mut escaped, mut suspect, mut after_slash) = (target.len(), false, false, 0);
        for (index, &byte) in target.iter().enumerate() {
            let kinds = kinds(byte);
            // Most bytes are none of these: one comparison for all of them.
            if kinds & (QUERY | ESCAPE | SLASH | DOT) == 0 {
                continue;
            }
            if kinds & QUERY != 0 {
                cut = index;
                break;
            }
            escaped |= kinds & ESCAPE != 0;
            suspect |= kinds & (SLASH | DOT) != 0 && index > 0 && index == after_slash;
            if kinds & SLASH != 0 {
                after_slash = index + 1;
            }
        }
        let (raw, query) = target.split_at_checked(cut).unwrap_or((target, &[]));
        Self { raw, query, escaped, suspect }
    }

    /// [`decode`]
    pub(crate) fn decode(&self) -> Decoded<'p> {
        if self.escaped {
            decode(self.raw)
        } else {
            Decoded { bytes: Cow::Borrowed(self.raw), broken: false }
        }
    }

    /// [`cleaned`]
    pub(crate) fn cleaned(&self) -> Option<Vec<u8>> {
        if self.escaped || self.suspect { cleaned(self.raw) } else { None }
    }
}

/// A path after percent-decoding.
#[derive(Clone, Debug)]
pub(crate) struct Decoded<'p> {
    pub(crate) bytes: Cow<'p, [u8]>,
    /// Has a `%` that two hex digits do not follow: Go refuses the whole request.
    pub(crate) broken: bool,
}

/// Percent-decodes once, as Go's `URL.Path`: `+` stays, a broken `%` stays. Allocates only when there is a
/// `%`.
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

/// The parts of a decoded push path `<path_prefix>/metrics/job[@base64]/<job>[<labels>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PushPath<'d> {
    /// The job component as written, up to the next slash.
    pub(crate) job: Component<'d>,
    /// Whether the job is base64.
    pub(crate) job_base64: bool,
    /// What comes after the slash that ends the job; nothing when there is none.
    pub(crate) labels: Components<'d>,
}

impl<'d> PushPath<'d> {
    /// Recognises a push path. `/metrics/job/` with nothing after it is none: the Pushgateway answers 404.
    pub(crate) fn split(decoded: &'d [u8], path_prefix: &str) -> Option<Self> {
        let rest = decoded.strip_prefix(path_prefix.as_bytes())?.strip_prefix(b"/metrics/job")?;
        let (rest, job_base64) = match rest.strip_prefix(b"@base64") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let mut labels = Components::of(rest.strip_prefix(b"/").filter(|rest| !rest.is_empty())?);
        let job = labels.next()?;
        Some(Self { job, job_base64, labels })
    }

    /// Whether a path as received is a push path.
    pub(crate) fn is(raw: &[u8], path_prefix: &str) -> bool {
        PushPath::split(&decode(raw).bytes, path_prefix).is_some()
    }
}

/// The path that Go's `ServeMux` would redirect to before any handler sees the request; `None` when the
/// path is clean already. Encoded dots and slashes are no dots and slashes to it, except in a path with
/// characters that must not be in a path unencoded: Go then cleans its own encoding of the decoded path.
pub(crate) fn cleaned(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.contains(&b'%') && !raw.iter().all(|&b| is_path_byte(b) || b == b'%') {
        let decoded = decode(raw).bytes;
        return clean(&decoded).map(|path| encode(&path));
    }
    clean(raw)
}

/// The path and query that [`crate::Router::decide`] would redirect a push to because Go's `ServeMux` cleans its path;
/// the same as given when it is clean. Allocates only when it is not.
#[must_use]
pub fn clean_path(path: &[u8]) -> Cow<'_, [u8]> {
    let target = Target::split(path);
    match target.cleaned() {
        Some(clean) if !target.decode().broken => Cow::Owned([&clean, target.query].concat()),
        _ => Cow::Borrowed(path),
    }
}

/// Go's `cleanPath` for a path that begins with a slash: resolves empty, `.` and `..` segments and keeps a
/// slash at the end.
fn clean(path: &[u8]) -> Option<Vec<u8>> {
    // The hot path ends here: only a slash or a dot after a slash can be unclean.
    if !path.windows(2).any(|pair| matches!(pair, [b'/', b'/' | b'.'])) {
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

/// Percent-encodes what is not a path byte, in upper-case hex.
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
        let path = |p: PushPath<'static>| (p.job.bytes, p.job_base64, p.labels.rest);
        let parts = |p: &'static str| split(p).map(path);
        assert_eq!(parts("/metrics/job/a"), Some((&b"a"[..], false, None)));
        assert_eq!(parts("/metrics/job/a/"), Some((&b"a"[..], false, Some(&b""[..]))));
        assert_eq!(parts("/metrics/job@base64/YQ/b/c"), Some((&b"YQ"[..], true, Some(&b"b/c"[..]))));
        assert_eq!(parts("/metrics/job//x"), Some((&b""[..], false, Some(&b"x"[..]))));
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
