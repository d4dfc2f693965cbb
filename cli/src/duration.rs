//! Times in flags and tables, in one notation: `500ms`, `15s`, `9d 3h`. 0 often means "never" or "off" elsewhere; where it
//! would mean "at once" here, it is refused.

use std::time::Duration;

/// No upper limit.
pub(crate) const ANY: Duration = Duration::MAX;
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Formats a time in units that flags accept, down to milliseconds. Weeks, months and years are days.
pub(crate) fn show(time: Duration) -> String {
    let mut rest = time.as_millis();
    let mut parts = Vec::new();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= millis {
            parts.push(format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Returns a parser of times from `min` to `max`. Its error says what is expected; clap adds the flag and what was found.
pub(crate) fn within(
    min: Duration,
    max: Duration,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    move |text| {
        let expected = || {
            let shown = show(min);
            if max == ANY {
                return format!("expected {shown} or more");
            }
            format!("expected {shown} to {}", show(max))
        };
        let time = humantime::parse_duration(text).map_err(|error| format!("{error}; {}", expected()))?;
        if (min..=max).contains(&time) { Ok(time) } else { Err(expected()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_times_are_accepted_again() {
        for (text, shown) in
            [("0s", "0s"), ("90m", "1h 30m"), ("1500ms", "1s 500ms"), ("1week", "7d"), ("1d 1ms", "1d 1ms")]
        {
            let time = humantime::parse_duration(text).unwrap();
            assert_eq!(show(time), shown);
            assert_eq!(humantime::parse_duration(shown), Ok(time));
        }
    }

    #[test]
    fn accepts_only_times_within_the_limits() {
        let parse = within(SECOND, HOUR);
        for (text, seconds) in [("1s", 1), ("60m", 3600), ("1000ms", 1)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "0s",
            "0",
            "999ms",
            "1ns",
            "-1s",
            "1h 1ns",
            "1d",
            "99999999999y",
            "",
            "s",
            "1",
            "1e3s",
            "NaN",
            "∞",
        ] {
            assert!(parse(text).unwrap_err().ends_with("expected 1s to 1h"), "{text}: {:?}", parse(text));
        }
        assert_eq!(within(MILLISECOND, ANY)("500years").map(|time| time > DAY), Ok(true));
        assert_eq!(within(MILLISECOND, ANY)("0s"), Err("expected 1ms or more".to_owned()));
    }
}
