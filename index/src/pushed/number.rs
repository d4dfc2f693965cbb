//! Numbers in labels, `le` and `quantile`, as Go's text format writes them.

/// Returns `strconv.FormatFloat(number, 'g', -1, 64)`, except that -0 is `0`.
pub(super) fn go(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    // Both languages write the fewest digits that make the same number.
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or_default() {
        // Go decides by six digits, however many the number has, unless it has up to 21 and is a whole number with them.
        -4..=5 => number.to_string(),
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

/// Reads a number as `expfmt` does.
pub(super) fn parse(text: &str) -> Option<f64> {
    text.parse().ok()
}
