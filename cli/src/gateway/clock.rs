//! The clock of a gateway against ours, from the `Date` of its answers, which tells whole seconds.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

/// Time stamps of two gateways that are closer than this are not told apart. More than what `Date` leaves open for
/// two gateways together (a second, and half of each round trip).
pub(crate) const MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// How far a gateway's clock is ahead of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    ahead: SignedDuration,
    /// The most that `ahead` can be wrong by.
    error: SignedDuration,
}

impl Clock {
    /// From a `Date` header, and when by our clock the request was sent and the answer came.
    ///
    /// # Errors
    /// The date cannot be read.
    pub(crate) fn new(date: &str, sent: Timestamp, answered: Timestamp) -> anyhow::Result<Self> {
        let date = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(date)
            .with_context(|| format!("its date {date:?}"))?;
        let round_trip = answered.duration_since(sent).max(SignedDuration::ZERO);
        // It said `date` somewhere in that second, and somewhere between the two.
        let half_a_second = SignedDuration::from_millis(500);
        let ahead = date.duration_since(sent) + half_a_second - round_trip / 2;
        Ok(Self { ahead, error: half_a_second + round_trip / 2 })
    }

    /// Its time of day when ours is `now`.
    pub(crate) fn theirs(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.ahead).unwrap_or(now)
    }

    /// A time stamp of its, by our clock.
    pub(crate) fn ours(&self, stamp: Timestamp) -> Timestamp {
        stamp.checked_sub(self.ahead).unwrap_or(stamp)
    }

    /// How long ago a time stamp of its was; negative when it lies in its future.
    pub(crate) fn age(&self, stamp: Timestamp) -> SignedDuration {
        self.theirs(Timestamp::now()).duration_since(stamp)
    }

    /// Whether a time stamp of its certainly lies in its future: its clock was set back since, and by how much its other
    /// time stamps are wrong, nobody knows.
    pub(crate) fn is_future(&self, stamp: Timestamp) -> bool {
        self.age(stamp) < -(MARGIN + self.error)
    }

    /// Whether it goes as it did `before`, as far as one can tell: neither it nor ours was set in between, nor stood
    /// still.
    pub(crate) fn goes_as(&self, before: &Self) -> bool {
        (self.ahead - before.ahead).abs() <= self.error + before.error
    }
}

/// Whether `a` by one gateway's clock is certainly later than `b` by another's. `None` when their clocks are not known
/// well enough: answers took too long.
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
    fn a_clock_that_is_minutes_ahead_is_seen_within_its_error() {
        let clock =
            clock("Sat, 21 Nov 2026 10:05:00 GMT", "2026-11-21T10:00:00.2Z", "2026-11-21T10:00:00.4Z");
        assert_eq!(clock.ahead, SignedDuration::from_millis(300_200));
        assert_eq!(clock.error, SignedDuration::from_millis(600));
        assert_eq!(clock.ours(at("2026-11-21T10:05:00.2Z")), at("2026-11-21T10:00:00Z"));
        assert_eq!(clock.theirs(at("2026-11-21T10:00:00Z")), at("2026-11-21T10:05:00.2Z"));
    }

    #[test]
    fn later_means_later_by_more_than_the_margin() {
        let even = clock("Sat, 21 Nov 2026 10:00:00 GMT", "2026-11-21T10:00:00.5Z", "2026-11-21T10:00:00.5Z");
        let ahead =
            clock("Sat, 21 Nov 2026 10:01:00 GMT", "2026-11-21T10:00:00.5Z", "2026-11-21T10:00:00.5Z");
        let (ten, later) = (at("2026-11-21T10:00:00Z"), at("2026-11-21T10:00:02.001Z"));
        assert_eq!(is_later((later, &even), (ten, &even)), Some(true));
        assert_eq!(is_later((at("2026-11-21T10:00:02Z"), &even), (ten, &even)), Some(false));
        assert_eq!(is_later((ten, &even), (later, &even)), Some(false));
        // 10:01:00 of the one is 10:00:00 of the other.
        assert_eq!(
            is_later((at("2026-11-21T10:00:30Z"), &even), (at("2026-11-21T10:01:00Z"), &ahead)),
            Some(true)
        );
        assert_eq!(is_later((at("2026-11-21T10:01:00Z"), &ahead), (ten, &even)), Some(false));
    }

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        let before =
            clock("Sat, 21 Nov 2026 10:00:00 GMT", "2026-11-21T10:00:00.9Z", "2026-11-21T10:00:00.9Z");
        let later = |date: &str| clock(date, "2026-11-21T10:01:00.1Z", "2026-11-21T10:01:00.1Z");
        assert!(later("Sat, 21 Nov 2026 10:01:00 GMT").goes_as(&before));
        assert!(!later("Sat, 21 Nov 2026 10:01:02 GMT").goes_as(&before));
        assert!(!later("Sat, 21 Nov 2026 10:00:57 GMT").goes_as(&before));
        assert!(!later("Mon, 01 Jan 0001 00:00:00 GMT").goes_as(&before));
    }

    #[test]
    fn what_lies_in_the_future_of_its_own_gateway() {
        let now = Timestamp::now();
        let clock = Clock { ahead: SignedDuration::from_secs(600), error: SignedDuration::from_secs(1) };
        assert!(clock.is_future(now + SignedDuration::from_secs(660)));
        assert!(!clock.is_future(now + SignedDuration::from_secs(602)));
        assert!(!clock.is_future(Timestamp::MIN));
        assert!(clock.is_future(Timestamp::MAX));
    }

    #[test]
    fn a_slow_answer_leaves_the_clock_unknown() {
        let slow = clock("Sat, 21 Nov 2026 10:00:00 GMT", "2026-11-21T10:00:00Z", "2026-11-21T10:00:02.5Z");
        assert_eq!(is_later((at("2026-11-21T11:00:00Z"), &slow), (at("2026-11-21T10:00:00Z"), &slow)), None);
        assert!(Clock::new("yesterday", at("2026-11-21T10:00:00Z"), at("2026-11-21T10:00:00Z")).is_err());
    }
}
