//! The `U__` escaping of Prometheus, for label names under `--push.enable-utf8-names`.
//!
//! The rules are those of `model.UnescapeName` with `ValueEncodingEscaping` in prometheus/common, which the Pushgateway
//! calls.

use std::borrow::Cow;

/// Maximum length of a hexadecimal code between two underscores. A name with a longer code is not unescaped.
const MAX_CODE_DIGITS: usize = 5;

/// Undoes the escaping. Returns a name without the prefix `U__`, or with an invalid code, as it is.
pub(crate) fn unescape(name: &[u8]) -> Cow<'_, [u8]> {
    match name.strip_prefix(b"U__").and_then(unescape_rest) {
        Some(unescaped) => Cow::Owned(unescaped),
        None => Cow::Borrowed(name),
    }
}

fn unescape_rest(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(rest.len());
    loop {
        match rest {
            [] => return Some(out),
            [b'_', b'_', after @ ..] => {
                out.push(b'_');
                rest = after;
            }
            [b'_', after @ ..] => {
                let end = after.iter().position(|&b| b == b'_').filter(|&end| end <= MAX_CODE_DIGITS)?;
                let (digits, tail) = after.split_at_checked(end)?;
                let code =
                    digits.iter().try_fold(0u32, |code, &d| Some(code << 4 | char::from(d).to_digit(16)?))?;
                out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail.strip_prefix(b"_")?;
            }
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

/// Returns a spelling of `name` that fits into a path component and that [`unescape`] turns back into `name`.
pub(crate) fn escape(name: &[u8]) -> Vec<u8> {
    let mut out = b"U__".to_vec();
    for &b in name {
        match b {
            b'_' => out.extend_from_slice(b"__"),
            // Percent-encoding covers the bytes beyond ASCII, because a code cannot express every character.
            b if b.is_ascii_alphanumeric() || !b.is_ascii() => out.push(b),
            b => out.extend_from_slice(format!("_{b:x}_").as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescapes_as_prometheus() {
        for (name, want) in [
            ("plain", "plain"),
            ("U__a_2e_b", "a.b"),
            ("U__a__b", "a_b"),
            ("U___1f600_", "\u{1f600}"),
            ("U___1F600_", "\u{1f600}"),
            ("U__x_zz_", "U__x_zz_"),
            ("U__x_", "U__x_"),
            ("U__x_2e", "U__x_2e"),
            ("U___d800_", "U___d800_"),
            ("U___00002e_", "U___00002e_"),
            ("U__", ""),
            ("U______x", "__x"),
        ] {
            assert_eq!(unescape(name.as_bytes()), want.as_bytes(), "{name}");
        }
    }

    #[test]
    fn escape_round_trips() {
        for name in ["a.b", "ü/x", "_", "U__a", "a@base64", "\u{10ffff}", "__x"] {
            assert_eq!(unescape(&escape(name.as_bytes())), name.as_bytes(), "{name}");
        }
    }
}
