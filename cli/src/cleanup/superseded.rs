//! Whether a copy of a group on a gateway that does not own it may go: only when nothing is lost by it.
//!
//! Families are compared one by one, by the time each was pushed: POST builds a group piecemeal, so a group that is
//! newer at its owner as a whole may still lack families there.

use jiff::Timestamp;

use crate::cleanup::copy::KeepReason;
use crate::gateway::api::StoredGroup;
use crate::gateway::clock::{Clock, is_later};

/// A group as one gateway holds it, with the gateway's clock.
pub(crate) type GroupOnGateway<'s, M> = (&'s StoredGroup<M>, &'s Clock);

/// Whether the owner holds every family of a copy, each pushed later; and was pushed to after the last push that the
/// copy took, and after the last one that it refused.
///
/// # Errors
/// Why the copy must stay.
pub(crate) fn superseded<M, O>(
    copy: GroupOnGateway<'_, M>,
    owner: Option<GroupOnGateway<'_, O>>,
) -> Result<(), KeepReason> {
    let ((copy, copy_clock), (owner, owner_clock)) = (copy, owner.ok_or(KeepReason::LeftBehind)?);
    if let Some(ambiguity) = copy.ambiguity.as_ref().or(owner.ambiguity.as_ref()) {
        return Err(KeepReason::Uncertain(ambiguity.clone()));
    }
    let lacking: Vec<String> =
        copy.families.keys().filter(|name| !owner.families.contains_key(*name)).cloned().collect();
    if !lacking.is_empty() {
        return Err(KeepReason::Lacking(lacking));
    }
    let later = |theirs: Timestamp, ours: Timestamp| {
        is_later((theirs, owner_clock), (ours, copy_clock))
            .ok_or_else(|| KeepReason::Uncertain("a gateway answers too slowly to know its clock".to_owned()))
    };
    let mut not_newer = Vec::new();
    for (name, family) in &copy.families {
        if let Some(theirs) = owner.families.get(name)
            && !later(theirs.time_stamp, family.time_stamp)?
        {
            not_newer.push(name.clone());
        }
    }
    let pushed = copy
        .pushed
        .ok_or_else(|| KeepReason::Uncertain("its gateway does not tell its last push".to_owned()))?;
    let last = owner.last_push();
    for (what, ours) in [("its last push", Some(pushed.time_stamp)), ("a refused push", copy.last_refusal())]
    {
        let Some(ours) = ours else { continue };
        let newer = match last {
            Some(theirs) => later(theirs, ours)?,
            None => false,
        };
        if !newer && not_newer.is_empty() {
            not_newer.push(what.to_owned());
        }
    }
    if not_newer.is_empty() { Ok(()) } else { Err(KeepReason::NotNewer(not_newer)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;
    use serde_json::json;

    /// A group with families pushed at seconds after ten, its last push and its last refusal (0: none).
    fn group(families: &[(&str, u32)], pushed: u32, refused: u32) -> StoredGroup<IgnoredAny> {
        let at = |second: u32| format!("2026-11-21T10:00:{second:02}Z");
        let family = |second, value: String| json!({"time_stamp": at(second), "type": "GAUGE", "metrics": [{"labels": {}, "value": value}]});
        let mut json = json!({"labels": {"job": "j"}, "last_push_successful": true});
        for (name, second) in families {
            json[*name] = family(*second, "1".to_owned());
        }
        let value = |second: u32| if second == 0 { "0".to_owned() } else { format!("{second}e9") };
        json["push_time_seconds"] = family(pushed, value(pushed));
        json["push_failure_time_seconds"] = family(refused, value(refused));
        serde_json::from_value(json).unwrap()
    }

    fn clock(date: &str) -> Clock {
        let now = "2026-11-21T10:00:00.5Z".parse().unwrap();
        Clock::new(&format!("Sat, 21 Nov 2026 {date} GMT"), now, now).unwrap()
    }

    fn verdict(copy: &StoredGroup<IgnoredAny>, owner: &StoredGroup<IgnoredAny>) -> Result<(), KeepReason> {
        let clock = clock("10:00:00");
        superseded((copy, &clock), Some((owner, &clock)))
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_family_must_be_there_and_newer() {
        let copy = group(&[("a", 10), ("b", 20)], 20, 0);
        assert_eq!(verdict(&copy, &group(&[("a", 30), ("b", 30)], 30, 0)), Ok(()));
        assert_eq!(verdict(&copy, &group(&[("a", 30)], 30, 0)), Err(KeepReason::Lacking(names(&["b"]))));
        // Newer as a whole, but one family is not.
        assert_eq!(
            verdict(&copy, &group(&[("a", 30), ("b", 15)], 30, 0)),
            Err(KeepReason::NotNewer(names(&["b"])))
        );
        assert_eq!(
            verdict(&copy, &group(&[("a", 30), ("b", 22)], 30, 0)),
            Err(KeepReason::NotNewer(names(&["b"]))),
            "within the margin"
        );
        let clock = clock("10:00:00");
        assert_eq!(superseded::<_, IgnoredAny>((&copy, &clock), None), Err(KeepReason::LeftBehind));
    }

    #[test]
    fn clocks_are_corrected_before_comparing() {
        let copy = group(&[("a", 10)], 10, 0);
        let owner = group(&[("a", 30)], 30, 0);
        let (even, ahead, behind) = (clock("10:00:00"), clock("10:00:30"), clock("09:59:30"));
        // By an owner's clock that is 30 s ahead it was pushed 10 s before the copy.
        let Err(KeepReason::NotNewer(_)) = superseded((&copy, &even), Some((&owner, &ahead))) else {
            panic!()
        };
        assert_eq!(superseded((&owner, &ahead), Some((&group(&[("a", 4)], 4, 0), &even))), Ok(()));
        assert_eq!(superseded((&owner, &even), Some((&copy, &behind))), Ok(()));
    }

    #[test]
    fn a_group_without_families_counts_by_its_last_push() {
        let empty = group(&[], 10, 0);
        assert_eq!(verdict(&empty, &group(&[], 20, 0)), Ok(()));
        let Err(KeepReason::NotNewer(_)) = verdict(&empty, &group(&[], 5, 0)) else { panic!() };
        let Err(KeepReason::NotNewer(_)) = verdict(&empty, &group(&[], 0, 20)) else {
            panic!("the owner has a stub")
        };
    }

    #[test]
    fn a_refusal_that_the_owner_knows_nothing_of_stays() {
        let copy = group(&[("a", 10)], 10, 40);
        let Err(KeepReason::NotNewer(_)) = verdict(&copy, &group(&[("a", 30)], 30, 0)) else { panic!() };
        assert_eq!(verdict(&copy, &group(&[("a", 50)], 50, 0)), Ok(()));
        // The owner's own failure family may be older: it is set once and stays.
        assert_eq!(verdict(&group(&[("a", 10)], 10, 0), &group(&[("a", 30)], 30, 0)), Ok(()));
        // A stub: nothing but a refusal.
        assert_eq!(verdict(&group(&[], 0, 10), &group(&[], 30, 0)), Ok(()));
    }

    #[test]
    fn a_doubt_about_either_keeps_it() {
        let (copy, owner) = (group(&[("a", 10)], 10, 0), group(&[("a", 30)], 30, 0));
        let doubtful = |group: &StoredGroup<IgnoredAny>| StoredGroup {
            ambiguity: Some("d".to_owned()),
            ..group.clone()
        };
        let doubt = || Err(KeepReason::Uncertain("d".to_owned()));
        assert_eq!(verdict(&doubtful(&copy), &owner), doubt());
        assert_eq!(verdict(&copy, &doubtful(&owner)), doubt());
        let untold = StoredGroup { pushed: None, ..copy };
        let Err(KeepReason::Uncertain(_)) = verdict(&untold, &owner) else { panic!() };
    }
}
