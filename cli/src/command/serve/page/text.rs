//! Text of others in a page. All of it passes through [`shown`], or through [`crate::text::line`] where it becomes the value
//! of an attribute, whose escaping is that of maud.

use std::fmt::Write;

use maud::{Escaper, Markup, PreEscaped};

use crate::text;

/// Longest text that is shown whole, in bytes.
const WHOLE: usize = 20_000;

/// Escapes text for HTML, and shows each character that does not show as itself as a marked escape such as `\n` or `\u{202e}`.
/// Its direction does not affect the text around it.
pub(super) fn shown(text: &str) -> Markup {
    let mut html = String::from("<bdi>");
    for run in text::runs(text) {
        let _ = match run {
            text::Run::Plain(plain) => Escaper::new(&mut html).write_str(plain),
            text::Run::Escaped(escape) => write!(html, "<span class=\"escape\">{escape}</span>"),
        };
    }
    PreEscaped(html + "</bdi>")
}

/// As [`shown`], without the middle of a long text.
pub(super) fn short(text: &str) -> Markup {
    shown(&text::short(text))
}

/// As [`shown`], for a text that has a box of its own; only a text of a page or more loses its middle.
pub(super) fn long(text: &str) -> Markup {
    if text.len() > WHOLE { short(text) } else { shown(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        let html = shown("</bdi><script>alert(1)</script> \"'&amp;").into_string();
        assert_eq!(html, "<bdi>&lt;/bdi&gt;&lt;script&gt;alert(1)&lt;/script&gt; &quot;'&amp;amp;</bdi>");
    }

    #[test]
    fn shows_what_is_invisible() {
        let html = shown("a\n\u{202e}b\\n\u{0}\u{e0041}").into_string();
        assert_eq!(
            html,
            "<bdi>a<span class=\"escape\">\\n\\u{202e}</span>b\\n<span class=\"escape\">\\u{0}\\u{e0041}</span></bdi>"
        );
    }

    #[test]
    fn a_long_text_loses_its_middle() {
        let long_label = "é".repeat(10_000);
        assert!(short(&long_label).into_string().len() < 1_000);
        assert_eq!(long(&long_label).into_string(), format!("<bdi>{long_label}</bdi>"));
        assert!(long(&long_label.repeat(2)).into_string().len() < 1_000);
    }
}
