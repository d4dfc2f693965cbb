//! The components of a path, and what kinds of bytes they are made of: one look into a table for each byte tells of a
//! plain name or value what would take several passes of comparisons.

/// `?`
pub(crate) const QUERY: u8 = 1;
/// `%`
pub(crate) const ESCAPE: u8 = 1 << 1;
/// `/`
pub(crate) const SLASH: u8 = 1 << 2;
/// `.`
pub(crate) const DOT: u8 = 1 << 3;
/// Neither an ASCII letter nor a digit nor `_`: in no label name without UTF-8 names.
pub(crate) const NO_NAME: u8 = 1 << 4;
/// Not ASCII.
pub(crate) const HIGH: u8 = 1 << 5;

const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut index = 0;
    let mut byte: u8 = 0;
    while index < kinds.len() {
        kinds[index] = kinds_of(byte);
        byte = byte.wrapping_add(1);
        index += 1;
    }
    kinds
};

const fn kinds_of(byte: u8) -> u8 {
    let name = byte.is_ascii_alphanumeric() || byte == b'_';
    let own = match byte {
        b'?' => QUERY,
        b'%' => ESCAPE,
        b'/' => SLASH,
        b'.' => DOT,
        _ => 0,
    };
    own | if name { 0 } else { NO_NAME } | if byte.is_ascii() { 0 } else { HIGH }
}

/// The kinds of a byte: bits of the constants above.
pub(crate) const fn kinds(byte: u8) -> u8 {
    KINDS[byte as usize]
}

/// What stands between two slashes of a decoded path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Component<'d> {
    pub(crate) bytes: &'d [u8],
    /// The kinds of all its bytes together.
    pub(crate) kinds: u8,
}

/// The components of what is left of a path; at least one, and an empty one after a slash at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Components<'d> {
    /// Bytes after the last slash that was passed; `None` when there was no further slash.
    pub(crate) rest: Option<&'d [u8]>,
}

impl<'d> Components<'d> {
    pub(crate) fn of(rest: &'d [u8]) -> Self {
        Self { rest: Some(rest) }
    }
}

impl<'d> Iterator for Components<'d> {
    type Item = Component<'d>;

    fn next(&mut self) -> Option<Component<'d>> {
        let rest = self.rest.take()?;
        let mut all = 0;
        for (index, &byte) in rest.iter().enumerate() {
            let kinds = kinds(byte);
            if kinds & SLASH != 0 {
                let (bytes, after) = rest.split_at_checked(index)?;
                self.rest = after.get(1..);
                return Some(Component { bytes, kinds: all });
            }
            all |= kinds;
        }
        Some(Component { bytes: rest, kinds: all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_end_at_slashes() {
        let split = |path: &'static str| -> Vec<_> {
            Components::of(path.as_bytes()).map(|component| component.bytes).collect()
        };
        assert_eq!(split("a/bc//d"), [&b"a"[..], b"bc", b"", b"d"]);
        assert_eq!(split("a/"), [&b"a"[..], b""]);
        assert_eq!(split(""), [b""]);
    }

    /// Against the comparisons that the table stands for.
    #[test]
    fn kinds_are_those_of_every_byte() {
        for byte in 0..=255u8 {
            let is = |kind| kinds(byte) & kind != 0;
            assert_eq!(is(QUERY), byte == b'?', "{byte}");
            assert_eq!(is(ESCAPE), byte == b'%', "{byte}");
            assert_eq!(is(SLASH), byte == b'/', "{byte}");
            assert_eq!(is(DOT), byte == b'.', "{byte}");
            assert_eq!(is(NO_NAME), !(char::from(byte).is_ascii_alphanumeric() || byte == b'_'), "{byte}");
            assert_eq!(is(HIGH), byte >= 0x80, "{byte}");
        }
        let component = Components::of(b"a-b\xC3\xBC").next().unwrap();
        assert_eq!(component.kinds, NO_NAME | HIGH);
    }
}
