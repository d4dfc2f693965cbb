//! The header `CDN-Loop` (RFC 8586), which names the proxies that a request has passed.

/// The name that Envoy adds to each push that it forwards.
const MARK: &[u8] = b"pushring";

/// Returns whether a value of `CDN-Loop` names pushring: one of its elements has the ID `pushring`, with or without parameters.
///
/// The routes in `envoy/*.yaml` have the same rule as a regular expression. A comma in a quoted string ends no element. After a
/// quote without an end, or bytes that are not UTF-8, only the last element counts: Envoy has added it, so no client hides it.
#[must_use]
pub fn passed_pushring(value: &[u8]) -> bool {
    let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
    if trim_start(last) == MARK {
        return true;
    }
    let mut elements = Some(value);
    while let Some(rest) = elements {
        if begins_with_mark(rest) {
            return true;
        }
        elements = after_element(rest);
    }
    false
}

fn begins_with_mark(elements: &[u8]) -> bool {
    let after = trim_start(elements).strip_prefix(MARK).map(trim_start);
    after.is_some_and(|after| matches!(after.first(), None | Some(b',' | b';')))
}

/// Returns the elements after the first one; `None` if there are none, or if the end of the first one is unknown.
fn after_element(elements: &[u8]) -> Option<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in elements.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                let (element, rest) = elements.split_at_checked(at)?;
                return std::str::from_utf8(element).ok().and(rest.get(1..));
            }
            _ => (),
        }
    }
    None
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
    start.and_then(|start| text.get(start..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::passed_pushring;

    #[test]
    fn whole_elements_count() {
        let passed: [&[u8]; 11] = [
            b"pushring",
            b"a, pushring",
            b"pushring,a",
            b"a,\tpushring ; v=1, b",
            b"pushring;",
            b"a; x=\"b, c\", pushring",
            b"a; x=\"\\\"\", pushring;y",
            b"pushring; x=\"",
            b"\", pushring",
            b"\xff, pushring",
            b",,pushring",
        ];
        for value in passed {
            assert!(passed_pushring(value), "{}", value.escape_ascii());
        }
        let other: [&[u8]; 14] = [
            b"",
            b",",
            b"Pushring",
            b"notpushring",
            b"pushring-of-another-fleet",
            b"pushring.example",
            b"pushring:80",
            b"pushring x",
            b"a; via=pushring",
            b"a; x=\"b, pushring\"",
            b"a; x=\"b, pushring, c\"",
            b"a; x=\"\\\", pushring, c\"",
            b"\"pushring\"",
            b"\xff, pushring, b",
        ];
        for value in other {
            assert!(!passed_pushring(value), "{}", value.escape_ascii());
        }
    }
}
