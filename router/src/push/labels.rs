//! The labels of a push path, exactly as the Pushgateway groups by them.
//!
//! Rules: `handler/push.go` of prometheus/pushgateway 1.11.3 (`splitLabels`, `decodeBase64`).

use std::borrow::Cow;
use std::cmp::Ordering;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use smallvec::SmallVec;

use super::component::{Component, HIGH, NO_NAME, kinds};
use super::path::PushPath;
use super::utf8_name;

/// As Go's `base64.RawURLEncoding`: no padding, spare trailing bits ignored.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

const BASE64_SUFFIX: &[u8] = b"@base64";
/// Prefix of label names that Prometheus keeps for itself.
const RESERVED: &[u8] = b"__";

pub(crate) type Label<'d> = (Cow<'d, [u8]>, Cow<'d, [u8]>);

/// Labels that are kept without an allocation, `job` among them.
const INLINE: usize = 8;

/// A grouping key: labels sorted by name, each name once, `job` among them. Up to [`INLINE`] labels are kept inline,
/// so that an ordinary push allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Labels<'d> {
    pub(crate) list: SmallVec<[Label<'d>; INLINE]>,
    /// A name or value may poison: not all of it is plain ASCII as it stands in the path.
    doubtful: bool,
}

impl<'d> Labels<'d> {
    /// The labels of a push path; `None` when the Pushgateway would refuse the path by its own 400.
    pub(crate) fn parse(path: PushPath<'d>, utf8_names: bool) -> Option<Self> {
        let job =
            if path.job_base64 { decode_base64(path.job.bytes)? } else { Cow::Borrowed(path.job.bytes) };
        if job.is_empty() {
            return None;
        }
        let doubtful = utf8_names || path.job_base64 || path.job.kinds & HIGH != 0;
        let mut labels = Self { list: SmallVec::new(), doubtful };
        let mut components = path.labels;
        // Nothing, or one slash, is no label at all; a slash at the end of more is an empty last component.
        if components.rest != Some(&[]) {
            while let Some(name) = components.next() {
                let value = components.next()?;
                labels.doubtful |= (name.kinds & NO_NAME) | (value.kinds & HIGH) != 0;
                labels.insert(parse_label(name, value, utf8_names)?);
            }
        }
        labels.insert((Cow::Borrowed(b"job".as_slice()), job));
        labels.finish();
        Some(labels)
    }

    /// In order, in place of one of the same name. Only while they are few: beyond, the order is made at the end, for
    /// this takes a square of their number.
    fn insert(&mut self, label: Label<'d>) {
        if self.list.len() >= INLINE {
            return self.list.push(label);
        }
        let mut at = self.list.len();
        for (index, other) in self.list.iter_mut().enumerate().rev() {
            match label.0.cmp(&other.0) {
                Ordering::Greater => break,
                Ordering::Equal => return *other = label,
                Ordering::Less => at = index,
            }
        }
        self.list.insert(at, label);
    }

    /// The order of many; of a repeated name the last stays.
    fn finish(&mut self) {
        if self.list.len() <= INLINE {
            return;
        }
        // Stable, so that the last of a name comes last.
        self.list.sort_by(|(a, _), (b, _)| a.cmp(b));
        // `dedup_by` removes its first argument, the later one: swap to keep that one.
        self.list.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
    }

    /// The value of `job`.
    pub(crate) fn job(&self) -> &[u8] {
        self.list.iter().find(|(name, _)| **name == *b"job").map_or(&[], |(_, value)| value)
    }

    /// Whether a push to this group would make its gateway refuse every later push: a value that is not
    /// UTF-8, or a reserved name (which only UTF-8 escaping can smuggle in). Both run on Pushgateway 1.11.3.
    pub(crate) fn poison(&self) -> Option<Poison<'_>> {
        let doubtful = if self.doubtful { self.list.as_slice() } else { &[] };
        doubtful.iter().find_map(|(name, value)| {
            if name.starts_with(RESERVED) {
                Some(Poison::ReservedName(name))
            } else if std::str::from_utf8(value).is_err() {
                Some(Poison::NotUtf8(name))
            } else {
                None
            }
        })
    }
}

/// What about a group poisons a gateway, with the label's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poison<'a> {
    NotUtf8(&'a [u8]),
    ReservedName(&'a [u8]),
}

fn parse_label<'d>(name: Component<'d>, value: Component<'d>, utf8_names: bool) -> Option<Label<'d>> {
    // Letters, digits and underscores alone: nothing to decode.
    let plain = name.kinds & NO_NAME == 0;
    let base64 = if plain { None } else { name.bytes.strip_suffix(BASE64_SUFFIX) };
    let (trimmed, value) = match base64 {
        Some(trimmed) => (trimmed, decode_base64(value.bytes)?),
        None => (name.bytes, Cow::Borrowed(value.bytes)),
    };
    // The reserved prefix is looked for in the name as written, before it is unescaped.
    if trimmed.starts_with(RESERVED) {
        return None;
    }
    let name = if utf8_names { utf8_name::unescape(trimmed) } else { Cow::Borrowed(trimmed) };
    let valid = if utf8_names {
        !name.is_empty() && std::str::from_utf8(&name).is_ok()
    } else if plain {
        begins_a_name(&name)
    } else {
        is_legacy_name(&name)
    };
    valid.then_some((name, value))
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
pub(crate) fn is_legacy_name(name: &[u8]) -> bool {
    begins_a_name(name) && name.iter().all(|&byte| kinds(byte) & NO_NAME == 0)
}

/// Not empty, and no digit first.
fn begins_a_name(name: &[u8]) -> bool {
    name.first().is_some_and(|first| !first.is_ascii_digit())
}

/// All padding at the end goes first, then CR and LF anywhere, as Go does it.
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

    /// Beyond those that are kept inline the order is made otherwise; `job` is the ninth and more.
    #[test]
    fn many_labels() {
        for number in [7, 8, 9, 30] {
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
    fn refused_by_the_gateway() {
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
