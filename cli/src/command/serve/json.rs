//! JSON as Go's `encoding/json` writes it, so that the API is byte for byte that of a Pushgateway.

use std::fmt::Write;

/// Appends a text in quotes.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => *out += "\\\"",
            '\\' => *out += "\\\\",
            '\n' => *out += "\\n",
            '\r' => *out += "\\r",
            '\t' => *out += "\\t",
            '\u{8}' => *out += "\\b",
            '\u{c}' => *out += "\\f",
            // The last two would end a line in JavaScript, the first three are for pages that contain the JSON.
            '<' | '>' | '&' | '\u{0}'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                // Writing to a text never fails.
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// Appends an object; `write` appends a value.
pub(super) fn object<'k, V>(
    out: &mut String,
    fields: impl IntoIterator<Item = (&'k str, V)>,
    mut write: impl FnMut(&mut String, V),
) {
    out.push('{');
    for (index, (name, value)) in fields.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        string(out, name);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}

/// Appends a list; `write` appends an item.
pub(super) fn list<V>(
    out: &mut String,
    items: impl IntoIterator<Item = V>,
    mut write: impl FnMut(&mut String, V),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_go() {
        let mut out = String::new();
        string(&mut out, "a\"\\\n\u{1}<b>&é\u{2028}\u{7f}");
        // By json.Marshal of Go 1.26.
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001\\u003cb\\u003e\\u0026é\\u2028\u{7f}\"");
    }
}
