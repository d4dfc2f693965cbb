//! The clock of a gateway relative to ours, from the `Date` header of its responses, which has whole seconds.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

/// Timestamps of two gateways that are closer than this count as equal. More than the uncertainty of `Date` for two
/// gateways together (one second, plus half of each round trip).
pub(crate) const MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// How far a gateway's clock is ahead of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    ahead: SignedDuration,
    /// Maximum error of `ahead`.
    error: SignedDuration,
}

impl Clock {
    /// Derives the clock from a `Date` header and from the times, by our clock, of the request and the response.
    pub(crate) fn new(date: &str, sent: Timestamp, answered: Timestamp) -> anyhow::Result<Self> {
        let date = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(date)
            .with_context(|| format!("Date header {date:?}"))?;
        let round_trip = answered.duration_since(sent).max(SignedDuration::ZERO);
        // The gateway read its clock at some point in that second, and between request and response.
        let half_a_second = SignedDuration::from_millis(500);
        let ahead = date.duration_since(sent) + half_a_second - round_trip / 2;
        Ok(Self { ahead, error: half_a_second + round_trip / 2 })
    }

    /// Converts a time by our clock to the gateway's clock.
    pub(crate) fn theirs(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.ahead).unwrap_or(now)
    }

    /// Converts a timestamp of the gateway to our clock.
    pub(crate) fn ours(&self, stamp: Timestamp) -> Timestamp {
        stamp.checked_sub(self.ahead).unwrap_or(stamp)
    }

    /// Returns the maximum error of a time that [`Clock::ours`] returns.
    pub(crate) fn error(&self) -> SignedDuration {
        self.error
    }

    /// Age of a timestamp of the gateway; negative if it is in the gateway's future.
    pub(crate) fn age(&self, stamp: Timestamp) -> SignedDuration {
        self.theirs(Timestamp::now()).duration_since(stamp)
    }

    /// Returns whether a timestamp of the gateway is certainly in its future. Then its clock was set back, and the error of
    /// its other timestamps is unknown.
    pub(crate) fn is_future(&self, stamp: Timestamp) -> bool {
        self.age(stamp) < -(MARGIN + self.error)
    }

    /// Returns whether the response was quick enough to compare timestamps of two such gateways within [`MARGIN`].
    pub(crate) fn is_certain(&self) -> bool {
        self.error * 2 <= MARGIN
    }

    /// Combines this reading of a clock with one of the same clock that is older by `age`. Each `Date` says where the clock was
    /// within a second; together, a few say it within milliseconds. Clocks drift apart by less than 1 ms per second. If the
    /// readings contradict each other, the clock was set, and only this one counts.
    pub(crate) fn narrowed(&self, before: &Self, age: SignedDuration) -> Self {
        let before_error = before.error + age.max(SignedDuration::ZERO) / 1000;
        let low = (self.ahead - self.error).max(before.ahead - before_error);
        let high = (self.ahead + self.error).min(before.ahead + before_error);
        if low > high {
            return *self;
        }
        Self { ahead: low + (high - low) / 2, error: (high - low) / 2 }
    }

    /// Returns whether neither this clock nor ours was set or stopped since `before`, within the error of both.
    pub(crate) fn agrees_with(&self, before: &Self) -> bool {
        (self.ahead - before.ahead).abs() <= self.error + before.error
    }
}

/// Returns whether `a` by one gateway's clock is certainly later than `b` by another's. `None` if the responses were too
/// slow to determine the clocks.
pub(crate) fn is_later((a, a_clock): (Timestamp, &Clock), (b, b_clock): (Timestamp, &Clock)) -> Option<bool> {
    if a_clock.error + b_clock.error > MARGIN {
        return None;
    }
    Some(a_clock.ours(a).duration_since(b_clock.ours(b)) > MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn clock(date: &str, sent: &str, answered: &str) -> Clock {
        Clock::new(date, at(sent), at(answered)).unwrap()
    }

    #[test]
    fn measures_a_clock_that_is_minutes_ahead() {
        let clock =
            clock("Sat, 21 Nov 2026 10:05:00 GMT", "2026-11-21T10:00:00.2Z", "2026-11-21T10:00:00.4Z");
        assert_eq!(clock.ahead, SignedDuration::from_millis(300_200));
        assert_eq!(clock.error, SignedDuration::from_millis(600));
        assert!(clock.is_certain());
        assert_eq!(clock.ours(at("2026-11-21T10:05:00.2Z")), at("2026-11-21T10:00:00Z"));
        assert_eq!(clock.theirs(at("2026-11-21T10:00:00Z")), at("2026-11-21T10:05:00.2Z"));
    }

    #[test]
    fn is_later_only_beyond_the_margin() {
        let even = clock("Sat, 21 Nov 2026 10:00:00 GMT", "2026-11-21T10:00:00.5Z", "2026-11-21T10:00:00.5Z");
        let ahead =
            clock("Sat, 21 Nov 2026 10:01:00 GMT", "2026-11-21T10:00:00.5Z", "2026-11-21T10:00:00.5Z");
        let (ten, later) = (at("2026-11-21T10:00:00Z"), at("2026-11-21T10:00:02.001Z"));
        assert_eq!(is_later((later, &even), (ten, &even)), Some(true));
        assert_eq!(is_later((at("2026-11-21T10:00:02Z"), &even), (ten, &even)), Some(false));
        assert_eq!(is_later((ten, &even), (later, &even)), Some(false));
        // 10:01:00 by one clock is 10:00:00 by the other.
        assert_eq!(
            is_later((at("2026-11-21T10:00:30Z"), &even), (at("2026-11-21T10:01:00Z"), &ahead)),
            Some(true)
        );
        assert_eq!(is_later((at("2026-11-21T10:01:00Z"), &ahead), (ten, &even)), Some(false));
    }

    #[test]
    fn several_readings_narrow_the_error_of_a_clock() {
        // It is 300 ms ahead: its seconds begin at .7 by ours.
        let first =
            clock("Sat, 21 Nov 2026 10:00:00 GMT", "2026-11-21T10:00:00.65Z", "2026-11-21T10:00:00.65Z");
        let second =
            clock("Sat, 21 Nov 2026 10:00:01 GMT", "2026-11-21T10:00:00.75Z", "2026-11-21T10:00:00.75Z");
        let age = SignedDuration::from_millis(100);
        let both = second.narrowed(&first, age);
        assert!((both.ahead - SignedDuration::from_millis(300)).abs() < both.error, "{both:?}");
        assert!(both.error < SignedDuration::from_millis(51), "{both:?}");
        let much_later = first.narrowed(&both, SignedDuration::from_hours(1));
        assert_eq!(much_later.error, first.error, "the drift is not known");
        let set = clock("Sat, 21 Nov 2026 10:00:05 GMT", "2026-11-21T10:00:00.9Z", "2026-11-21T10:00:00.9Z");
        assert_eq!(set.narrowed(&both, age), set);
    }

    #[test]
    fn detects_a_clock_that_was_set() {
        let before =
            clock("Sat, 21 Nov 2026 10:00:00 GMT", "2026-11-21T10:00:00.9Z", "2026-11-21T10:00:00.9Z");
        let later = |date: &str| clock(date, "2026-11-21T10:01:00.1Z", "2026-11-21T10:01:00.1Z");
        assert!(later("Sat, 21 Nov 2026 10:01:00 GMT").agrees_with(&before));
        assert!(!later("Sat, 21 Nov 2026 10:01:02 GMT").agrees_with(&before));
        assert!(!later("Sat, 21 Nov 2026 10:00:57 GMT").agrees_with(&before));
        assert!(!later("Mon, 01 Jan 0001 00:00:00 GMT").agrees_with(&before));
    }

    #[test]
    fn detects_timestamps_in_the_future_of_their_gateway() {
        let now = Timestamp::now();
        let clock = Clock { ahead: SignedDuration::from_secs(600), error: SignedDuration::from_secs(1) };
        assert!(clock.is_future(now + SignedDuration::from_secs(660)));
        assert!(!clock.is_future(now + SignedDuration::from_secs(602)));
        assert!(!clock.is_future(Timestamp::MIN));
        assert!(clock.is_future(Timestamp::MAX));
    }

    #[test]
    fn a_slow_response_leaves_the_clock_unknown() {
        let slow = clock("Sat, 21 Nov 2026 10:00:00 GMT", "2026-11-21T10:00:00Z", "2026-11-21T10:00:02.5Z");
        assert!(!slow.is_certain());
        assert_eq!(is_later((at("2026-11-21T11:00:00Z"), &slow), (at("2026-11-21T10:00:00Z"), &slow)), None);
        assert!(Clock::new("yesterday", at("2026-11-21T10:00:00Z"), at("2026-11-21T10:00:00Z")).is_err());
    }
}
