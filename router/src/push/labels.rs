//! The labels of a push path, exactly as the Pushgateway groups by them.
//!
//! The rules come from `handler/push.go` of prometheus/pushgateway 1.11.3 (`splitLabels`, `decodeBase64`).

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use smallvec::SmallVec;

use super::path::PushPath;
use super::utf8_name;

/// Go's `base64.RawURLEncoding`: no padding, spare trailing bits are ignored.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

const BASE64_SUFFIX: &[u8] = b"@base64";
/// Prometheus reserves label names with this prefix.
const RESERVED: &[u8] = b"__";

pub(crate) type Label<'d> = (Cow<'d, [u8]>, Cow<'d, [u8]>);

/// A grouping key: labels sorted by name, each name once, `job` among them. Up to 8 labels are stored inline, so that
/// an ordinary push allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Labels<'d> {
    pub(crate) list: SmallVec<[Label<'d>; 8]>,
}

impl<'d> Labels<'d> {
    /// Parses the labels of a push path. Returns `None` if the Pushgateway answers this path with 400.
    pub(crate) fn parse(path: PushPath<'d>, utf8_names: bool) -> Option<Self> {
        let job = if path.job_base64 { decode_base64(path.job)? } else { Cow::Borrowed(path.job) };
        if job.is_empty() {
            return None;
        }
        let mut list: SmallVec<[Label<'d>; 8]> = SmallVec::new();
        if !path.labels.is_empty() {
            let mut components = path.labels.split(|&b| b == b'/');
            while let Some(name) = components.next() {
                list.push(parse_label(name, components.next()?, utf8_names)?);
            }
        }
        list.push((Cow::Borrowed(b"job".as_slice()), job));
        // The sort is stable, and up to 20 labels it does not allocate.
        list.sort_by(|(a, _), (b, _)| a.cmp(b));
        // The last value of a name wins. `dedup_by` removes the later label, so it must swap the two first.
        list.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Some(Self { list })
    }

    /// Returns the value of `job`.
    pub(crate) fn job(&self) -> &[u8] {
        self.list.iter().find(|(name, _)| **name == *b"job").map_or(&[], |(_, value)| value)
    }

    /// Returns the reason why a push to this group makes its gateway reject every later push: a value that is not
    /// UTF-8, a reserved name, which only UTF-8 escaping can hide, or an empty `instance`, once the gateway also has the
    /// group without `instance`, to which it adds an empty one. All were observed on Pushgateway 1.11.3.
    pub(crate) fn poison(&self) -> Option<Poison<'_>> {
        self.list.iter().find_map(|(name, value)| {
            if name.starts_with(RESERVED) {
                Some(Poison::ReservedName(name))
            } else if std::str::from_utf8(value).is_err() {
                Some(Poison::NotUtf8(name))
            } else if **name == *b"instance" && value.is_empty() {
                Some(Poison::EmptyInstance)
            } else {
                None
            }
        })
    }
}

/// The reason why a group poisons a gateway, with the name of the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poison<'a> {
    NotUtf8(&'a [u8]),
    ReservedName(&'a [u8]),
    EmptyInstance,
}

fn parse_label<'d>(name: &'d [u8], value: &'d [u8], utf8_names: bool) -> Option<Label<'d>> {
    let (name, value) = match name.strip_suffix(BASE64_SUFFIX) {
        Some(name) => (name, decode_base64(value)?),
        None => (name, Cow::Borrowed(value)),
    };
    // The Pushgateway checks for the reserved prefix before it unescapes the name.
    if name.starts_with(RESERVED) {
        return None;
    }
    let (name, valid) = if utf8_names {
        let name = utf8_name::unescape(name);
        let valid = !name.is_empty() && std::str::from_utf8(&name).is_ok();
        (name, valid)
    } else {
        (Cow::Borrowed(name), is_legacy_name(name))
    };
    valid.then_some((name, value))
}

/// Returns whether a label name matches `[a-zA-Z_][a-zA-Z0-9_]*`, which every Pushgateway accepts.
#[must_use]
pub fn is_legacy_name(name: &[u8]) -> bool {
    let first_ok = name.first().is_some_and(|first| !first.is_ascii_digit());
    first_ok && name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Removes all padding at the end, then CR and LF anywhere, as Go does, and decodes the rest.
fn decode_base64(text: &[u8]) -> Option<Cow<'static, [u8]>> {
    let padding = text.iter().rev().take_while(|&&b| b == b'=').count();
    let (text, _) = text.split_at_checked(text.len().checked_sub(padding)?)?;
    let text: Vec<u8> = text.iter().copied().filter(|b| !b"\r\n".contains(b)).collect();
    BASE64.decode(text).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, want: &[(&str, &str)]) {
        let labels = Labels::parse(PushPath::split(path.as_bytes(), "").unwrap(), false).unwrap();
        let got: Vec<_> = labels.list.iter().map(|(n, v)| (str(n), str(v))).collect();
        let want: Vec<_> = want.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        assert_eq!(got, want, "{path}");
    }

    fn str(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn spellings() {
        check("/metrics/job/x", &[("job", "x")]);
        check("/metrics/job/x/", &[("job", "x")]);
        check("/metrics/job/x/b/1/a/2", &[("a", "2"), ("b", "1"), ("job", "x")]);
        check("/metrics/job/x/a/1/a/2", &[("a", "2"), ("job", "x")]);
        check("/metrics/job/x/job/y", &[("job", "x")]);
        check("/metrics/job/x/a/", &[("a", ""), ("job", "x")]);
        check("/metrics/job/x/a@base64/=", &[("a", ""), ("job", "x")]);
        check("/metrics/job/x/a@base64/", &[("a", ""), ("job", "x")]);
        check("/metrics/job@base64/eA==/a@base64/YR", &[("a", "a"), ("job", "x")]);
        check("/metrics/job/x/a@base64/Y\r\nQ", &[("a", "a"), ("job", "x")]);
    }

    /// Inline storage ends at 8 labels, and sorting without allocation ends at 20.
    #[test]
    fn many_labels() {
        for number in [7, 8, 9, 20, 30] {
            let names: Vec<_> = (0..number).map(|i| format!("l{i:02}")).collect();
            let path = |names: &mut dyn Iterator<Item = &String>| {
                names.fold("/metrics/job/x".to_owned(), |path, name| format!("{path}/{name}/1/{name}/{name}"))
            };
            let mut want: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
            want.insert(0, ("job", "x"));
            check(&path(&mut names.iter()), &want);
            check(&path(&mut names.iter().rev()), &want);
            check(&format!("{}/job/y", path(&mut names.iter().rev())), &want);
        }
    }

    #[test]
    fn rejected_by_the_gateway() {
        for path in [
            "/metrics/job/x/a",
            "/metrics/job/x/a/b/",
            "/metrics/job//a/b",
            "/metrics/job@base64/=",
            "/metrics/job@base64/+",
            "/metrics/job/x/1a/b",
            "/metrics/job/x/__a/b",
            "/metrics/job/x/a@base64/A",
            "/metrics/job/x/a@base64/Y=Q",
            "/metrics/job/x/@base64/YQ",
        ] {
            assert_eq!(Labels::parse(PushPath::split(path.as_bytes(), "").unwrap(), false), None, "{path}");
        }
    }
}
