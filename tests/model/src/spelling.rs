//! Generates groups, the many paths that spell the same group, and paths that are not push paths.

use arbitrary::{Result, Unstructured};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Parts of paths, valid and broken.
const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    "/",
    "a",
    "b",
    "job",
    "/job",
    "instance",
    "/instance/",
    "@base64",
    "@base64/",
    "%40base64",
    "=",
    "==",
    "%3d",
    "YQ",
    "YR",
    "YWI",
    "_-8",
    "_w",
    "A",
    "+",
    "-",
    "_",
    "__",
    "__x",
    "U__",
    "U__x",
    "U__x_2e_y",
    "U___",
    "U______x/",
    "_e9_",
    "_d800_",
    "//",
    "/./",
    "/../",
    "/.",
    "..",
    "%2e",
    "%2E%2e",
    "%2F",
    "%2f%2F",
    "%",
    "%z",
    "%4",
    "%ff",
    "%c3",
    "%C3%A9",
    "%E2%82%AC",
    "%00",
    "%0a",
    "%0D",
    "%20",
    "%25",
    "%3F",
    "?",
    "?x=/",
    "#",
    "\"",
    "é",
    "x-y",
    "1",
    "~",
    ":",
    "/metrics",
    "/metrics/job/",
    "%6Aob",
    "*",
    "[",
    ";",
    "\\",
];

/// Generates a path from meaningful pieces and random bytes, so that it reaches every part of the parser.
pub fn odd_path(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let starts = ["/metrics/job/", "/metrics/job/a/", "/metrics/job@base64/", "/metrics/job", ""];
    let mut path = u.choose(&starts)?.as_bytes().to_vec();
    for _ in 0..u.int_in_range(0..=12)? {
        if u.ratio(1, 6)? {
            path.push(u.arbitrary()?);
        } else {
            path.extend_from_slice(u.choose(PIECES)?.as_bytes());
        }
    }
    Ok(path)
}

/// A group: names and values, each name once, `job` first. Every value is UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(pub Vec<(Vec<u8>, Vec<u8>)>);

impl Labels {
    /// Generates a job and up to five further labels.
    pub fn arbitrary(u: &mut Unstructured<'_>, utf8_names: bool) -> Result<Self> {
        let job = Some(text(u)?).filter(|job| !job.is_empty()).unwrap_or_else(|| b"j".to_vec());
        let mut labels = vec![(b"job".to_vec(), job)];
        for _ in 0..u.int_in_range(0..=5)? {
            let name = name(u, utf8_names)?;
            if labels.iter().all(|(other, _)| *other != name) {
                labels.push((name, text(u)?));
            }
        }
        Ok(Self(labels))
    }

    /// Returns the labels sorted by name.
    #[must_use]
    pub fn sorted(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted
    }

    /// Returns the canonical key, by its definition.
    pub fn key(&self) -> Vec<u8> {
        let parts: Vec<Vec<u8>> = self.sorted().into_iter().flat_map(|(name, value)| [name, value]).collect();
        parts.join(&0xFF)
    }

    /// Generates one of the paths of this group.
    pub fn spell(&self, u: &mut Unstructured<'_>, prefix: &str, utf8_names: bool) -> Result<Vec<u8>> {
        let mut pairs = self.0[1..].to_vec();
        for i in (1..pairs.len()).rev() {
            pairs.swap(i, u.int_in_range(0..=i)?);
        }
        // The last value of a name wins, and the leading `job` wins over any other.
        for _ in 0..u.int_in_range(0..=2)? {
            let at = u.int_in_range(0..=pairs.len())?;
            match pairs.get(at) {
                Some((name, _)) => pairs.insert(at, (name.clone(), text(u)?)),
                None if !pairs.is_empty() => pairs.insert(0, (b"job".to_vec(), text(u)?)),
                None => {}
            }
        }
        // Raw bytes that must be encoded in a path make Go clean the decoded path, dots and slashes included.
        let raw = u.ratio(1, 6)?;
        let mut path = letters(u, &format!("{prefix}/metrics/"), raw)?;
        let last = pairs.len();
        for (i, (name, value)) in std::iter::once(&self.0[0]).chain(&pairs).enumerate() {
            let name = if i == 0 { b"job".to_vec() } else { escape_name(u, name, utf8_names, raw)? };
            spell_label(u, &mut path, &name, value, raw, i == last && i > 0)?;
            if i < last {
                path.push(b'/');
            }
        }
        if last == 0 && u.ratio(1, 4)? {
            path.push(b'/');
        }
        if u.ratio(1, 6)? {
            path.extend_from_slice(u.choose(&["?", "?x=/y/z", "?//%zz"])?.as_bytes());
        }
        Ok(path)
    }
}

/// Writes `name/value`, with base64 if the value has no plain spelling, and otherwise by chance.
fn spell_label(
    u: &mut Unstructured<'_>,
    path: &mut Vec<u8>,
    name: &[u8],
    value: &[u8],
    raw: bool,
    last: bool,
) -> Result<()> {
    let dots = raw && matches!(value, b"." | b"..");
    let impossible = value.contains(&b'/') || dots || (value.is_empty() && !last);
    path.extend(bytes(u, name, raw)?);
    if !impossible && u.ratio(2, 3)? {
        path.push(b'/');
        path.extend(bytes(u, value, raw)?);
        return Ok(());
    }
    path.extend_from_slice(if u.ratio(1, 5)? { b"%40base64/" } else { b"@base64/" });
    let mut text = base64(u, value)?;
    let needed = usize::from(text.is_empty() && !last);
    text.extend(vec![b'='; u.int_in_range(needed..=3)?]);
    path.extend(bytes(u, &text, false)?);
    Ok(())
}

/// Returns base64 with random spare bits and line ends anywhere.
fn base64(u: &mut Unstructured<'_>, value: &[u8]) -> Result<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = URL_SAFE_NO_PAD.encode(value).into_bytes();
    let spare = [1, 16, 4][value.len() % 3];
    if let Some(last) = text.last_mut().filter(|_| spare > 1) {
        let index = ALPHABET.iter().position(|b| b == last).expect("of the alphabet");
        *last = ALPHABET[index + u.int_in_range(0..=spare - 1)?];
    }
    if u.ratio(1, 8)? {
        let at = u.int_in_range(0..=text.len())?;
        text.insert(at, *u.choose(b"\r\n")?);
    }
    Ok(text)
}

/// Escapes a name with `U__` if its plain form has another meaning, and otherwise by chance. Only with UTF-8 names.
fn escape_name(u: &mut Unstructured<'_>, name: &[u8], utf8_names: bool, raw: bool) -> Result<Vec<u8>> {
    let dots = raw && matches!(name, b"." | b"..");
    let impossible = name.starts_with(b"U__") || name.ends_with(b"@base64") || name.contains(&b'/') || dots;
    if !utf8_names || (!impossible && u.ratio(2, 3)?) {
        return Ok(name.to_vec());
    }
    let mut out = b"U__".to_vec();
    for c in String::from_utf8_lossy(name).chars() {
        match c {
            '_' => out.extend_from_slice(b"__"),
            'a'..='z' | 'A'..='Z' | '0'..='9' if u.ratio(7, 8)? => out.push(c as u8),
            c if u32::from(c) > 0xF_FFFF => out.extend(c.to_string().bytes()), // six digits are too many
            c if u.arbitrary()? => out.extend(format!("_{:x}_", u32::from(c)).bytes()),
            c => out.extend(format!("_{:0>4X}_", u32::from(c)).bytes()),
        }
    }
    Ok(out)
}

/// Percent-encodes the bytes that need it, and others by chance, in upper or lower case.
fn bytes(u: &mut Unstructured<'_>, text: &[u8], raw: bool) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    // Go cleans a component of dots unless it is encoded.
    let dots = matches!(text, b"." | b"..");
    for &b in text {
        let free = b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@[]".contains(&b);
        let bare = raw && (!b.is_ascii() || b"\"<>\\^`{|}#".contains(&b));
        if (free || bare) && !dots && !u.ratio(1, 16)? {
            out.push(b);
        } else if u.arbitrary()? {
            out.extend(format!("%{b:02X}").bytes());
        } else {
            out.extend(format!("%{b:02x}").bytes());
        }
    }
    Ok(out)
}

/// Returns the fixed part of a path, with letters percent-encoded by chance.
fn letters(u: &mut Unstructured<'_>, text: &str, raw: bool) -> Result<Vec<u8>> {
    if u.ratio(7, 8)? {
        return Ok(text.as_bytes().to_vec());
    }
    let parts: Result<Vec<_>> = text.split('/').map(|part| bytes(u, part.as_bytes(), raw)).collect();
    Ok(parts?.join(&b'/'))
}

/// Generates a value. Values are often short, so that two labels often have the same value.
fn text(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    const PARTS: &[&str] = &[
        "a",
        "b",
        "c",
        "A",
        "0",
        "1",
        " ",
        "+",
        "%",
        "/",
        "=",
        ".",
        "..",
        "-",
        "_",
        ":",
        "?",
        "#",
        "&",
        "@base64",
        "\n",
        "\0",
        "\"",
        "\\",
        "|",
        "é",
        "€",
        "\u{1f600}",
        "e\u{301}",
        "\u{7f}",
        "\u{feff}",
        "~",
        ",",
    ];
    let mut out = Vec::new();
    for _ in 0..u.int_in_range(0..=6)? {
        out.extend_from_slice(u.choose(PARTS)?.as_bytes());
    }
    Ok(out)
}

/// Generates a name that a Pushgateway stores.
fn name(u: &mut Unstructured<'_>, utf8_names: bool) -> Result<Vec<u8>> {
    const LEGACY: &[&str] = &["instance", "zone", "a", "A1", "_x", "U__a", "x_", "le", "JOB", "_"];
    const UTF8: &[&str] =
        &["a.b", "é", "\u{1f600}", "1", "a/b", "x@base64", " ", ".", "..", "a__", "U_", "%", "\u{10ffff}"];
    let names = if utf8_names && u.arbitrary()? { UTF8 } else { LEGACY };
    Ok(u.choose(names)?.as_bytes().to_vec())
}
