//! Whole numbers in flags.

use std::ops::RangeInclusive;

/// Returns a parser of whole numbers in a range. Its error says what is expected; clap adds the flag and what was found.
pub(crate) fn within(
    range: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync {
    move |text| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_number && range.contains(number));
        number.ok_or_else(|| format!("expected a whole number from {} to {}", range.start(), range.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_whole_numbers_in_the_range() {
        let parse = within(1..=100);
        assert_eq!((parse("1"), parse("100"), parse("007")), (Ok(1), Ok(100), Ok(7)));
        for text in
            ["", " ", "0", "101", "-1", "+1", "1.0", "1e1", "NaN", "\u{663}", "99999999999999999999", "1\n"]
        {
            assert_eq!(parse(text), Err("expected a whole number from 1 to 100".to_owned()), "{text}");
        }
    }
}
