//! Numbers as Go writes them: `strconv.FormatFloat(f, 'g', -1, 64)`.

use std::borrow::Cow;

/// Returns a number as `expfmt`, the writer of Go's text format, writes it: as [`go`], but 0 for -0.
pub(super) fn exposed(number: f64) -> Cow<'static, str> {
    if number == 0.0 { Cow::Borrowed("0") } else { Cow::Owned(go(number)) }
}

/// Returns a number as Go's `fmt.Sprint` writes it.
pub(super) fn go(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    // Both languages write the fewest digits that make the same number.
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or_default() {
        -4..=5 => number.to_string(),
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected texts are those of Go 1.26.
    #[test]
    fn writes_numbers_as_go() {
        for (number, text) in [
            (1.0, "1"),
            (100_000.0, "100000"),
            (123_456.0, "123456"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (123_456_789.5, "1.234567895e+08"),
            (1e20, "1e+20"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0"),
            (5e-324, "5e-324"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-Inf"),
            (1_763_735_668.554_921_6, "1.7637356685549216e+09"),
        ] {
            assert_eq!(go(number), text);
        }
        assert_eq!(exposed(-0.0), "0");
    }
}
