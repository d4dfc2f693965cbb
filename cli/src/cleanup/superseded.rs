//! Decides whether deleting a copy on a former owner loses nothing.
//!
//! Families are compared one by one, by the time each was pushed: POST builds a group in parts, so a
//! group that is newer on its owner as a whole may still lack families there.

use jiff::Timestamp;

use crate::cleanup::copy::{KeepReason, list};
use crate::gateway::api::{NO_PUSH_TIME, StoredGroup};
use crate::gateway::clock::{Clock, is_later};
use crate::gateway::values::Values;
use crate::reason::Code;

/// A group as one gateway holds it, with the gateway's clock.
pub(crate) type GroupOnGateway<'s, M> = (&'s StoredGroup<M>, &'s Clock);

/// Checks that the owner holds every family of the copy, each pushed later, and that its last push is
/// later than the copy's last accepted and last rejected push.
///
/// # Errors
/// The reason to keep the copy.
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
    let later = |theirs: Timestamp, ours: Timestamp| later((theirs, owner_clock), (ours, copy_clock));
    let mut not_newer = Vec::new();
    for (name, family) in &copy.families {
        if let Some(theirs) = owner.families.get(name)
            && !later(theirs.time_stamp, family.time_stamp)?
        {
            not_newer.push(name.clone());
        }
    }
    let pushed = copy.pushed.ok_or_else(|| KeepReason::Uncertain(Code::NoPushTime.because(NO_PUSH_TIME)))?;
    let last = owner.last_push();
    for (what, ours) in
        [("its last push", Some(pushed.time_stamp)), ("a rejected push", copy.last_rejection())]
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

/// Checks that the replica holds every family of the copy, each with the same values or pushed later. Its owner decides
/// about everything else, see [`superseded`].
///
/// # Errors
/// The reason to keep the copy.
pub(crate) fn replicated(
    copy: GroupOnGateway<'_, Values>,
    replica: Option<GroupOnGateway<'_, Values>>,
) -> Result<(), KeepReason> {
    let unreplicated = |text: String| Err(KeepReason::Unreplicated(Code::Unreplicated.because(text)));
    let ((copy, copy_clock), Some((replica, clock))) = (copy, replica) else {
        return unreplicated("its replica has no copy".to_owned());
    };
    if let Some(ambiguity) = &replica.ambiguity {
        return Err(KeepReason::Uncertain(ambiguity.clone()));
    }
    let (mut lacking, mut not_newer) = (Vec::new(), Vec::new());
    for (name, family) in &copy.families {
        match replica.families.get(name) {
            None => lacking.push(name.clone()),
            Some(theirs) if (&theirs.kind, theirs.metrics) == (&family.kind, family.metrics) => {}
            Some(theirs) if later((theirs.time_stamp, clock), (family.time_stamp, copy_clock))? => {}
            Some(_) => not_newer.push(name.clone()),
        }
    }
    match () {
        () if !lacking.is_empty() => unreplicated(format!("its replica lacks {}", list(&lacking))),
        () if !not_newer.is_empty() => {
            unreplicated(format!("not provably newer on its replica: {}", list(&not_newer)))
        }
        () if replica.last_push().is_none() && !copy.is_stub() => {
            unreplicated("its replica never accepted a push to it".to_owned())
        }
        () => Ok(()),
    }
}

fn later(theirs: (Timestamp, &Clock), ours: (Timestamp, &Clock)) -> Result<bool, KeepReason> {
    is_later(theirs, ours).ok_or_else(|| {
        let text = "a gateway responded too slowly to determine its clock offset";
        KeepReason::Uncertain(Code::ClockUncertain.because(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;
    use serde_json::json;

    /// Builds a group: families with the second of their push, last accepted and last rejected push (0: none).
    fn group(families: &[(&str, u32)], pushed: u32, rejected: u32) -> StoredGroup<IgnoredAny> {
        let at = |second: u32| format!("2026-11-21T10:00:{second:02}Z");
        let family = |second, value: String| json!({"time_stamp": at(second), "type": "GAUGE", "metrics": [{"labels": {}, "value": value}]});
        let mut json = json!({"labels": {"job": "j"}, "last_push_successful": true});
        for (name, second) in families {
            json[*name] = family(*second, "1".to_owned());
        }
        let value = |second: u32| if second == 0 { "0".to_owned() } else { format!("{second}e9") };
        json["push_time_seconds"] = family(pushed, value(pushed));
        json["push_failure_time_seconds"] = family(rejected, value(rejected));
        serde_json::from_value(json).unwrap()
    }

    fn clock(date: &str) -> Clock {
        let now = "2026-11-21T10:00:00.5Z".parse().unwrap();
        Clock::new(&format!("Sat, 21 Nov 2026 {date} GMT"), now, now).unwrap()
    }

    fn compare(copy: &StoredGroup<IgnoredAny>, owner: &StoredGroup<IgnoredAny>) -> Result<(), KeepReason> {
        let clock = clock("10:00:00");
        superseded((copy, &clock), Some((owner, &clock)))
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn requires_every_family_newer_on_owner() {
        let copy = group(&[("a", 10), ("b", 20)], 20, 0);
        assert_eq!(compare(&copy, &group(&[("a", 30), ("b", 30)], 30, 0)), Ok(()));
        assert_eq!(compare(&copy, &group(&[("a", 30)], 30, 0)), Err(KeepReason::Lacking(names(&["b"]))));
        // Newer as a whole, but one family is not.
        assert_eq!(
            compare(&copy, &group(&[("a", 30), ("b", 15)], 30, 0)),
            Err(KeepReason::NotNewer(names(&["b"])))
        );
        assert_eq!(
            compare(&copy, &group(&[("a", 30), ("b", 22)], 30, 0)),
            Err(KeepReason::NotNewer(names(&["b"]))),
            "within the margin"
        );
        let clock = clock("10:00:00");
        assert_eq!(superseded::<_, IgnoredAny>((&copy, &clock), None), Err(KeepReason::LeftBehind));
    }

    #[test]
    fn requires_every_family_newer_or_equal_on_the_replica() {
        let group = |families: &[(&str, u32, u32)], pushed: u32| -> StoredGroup<Values> {
            let at = |second: u32| format!("2026-11-21T10:00:{second:02}Z");
            let family = |second, value: String| json!({"time_stamp": at(second), "type": "GAUGE", "metrics": [{"labels": {}, "value": value}]});
            let mut json = json!({"labels": {"job": "j"}, "last_push_successful": true});
            for (name, second, value) in families {
                json[*name] = family(*second, value.to_string());
            }
            json["push_time_seconds"] = family(pushed, format!("{pushed}e9"));
            json["push_failure_time_seconds"] = family(pushed, "0".to_owned());
            serde_json::from_value(json).unwrap()
        };
        let clock = clock("10:00:00");
        let check = |copy: &StoredGroup<Values>, replica: &StoredGroup<Values>| {
            replicated((copy, &clock), Some((replica, &clock))).map_err(|kept| kept.to_reason().text)
        };
        let copy = group(&[("a", 10, 1), ("b", 20, 1)], 20);
        assert_eq!(check(&copy, &group(&[("a", 10, 1), ("b", 30, 2)], 30)), Ok(()));
        assert_eq!(check(&copy, &group(&[("a", 10, 1)], 30)), Err("its replica lacks b".to_owned()));
        let not_newer = Err("not provably newer on its replica: b".to_owned());
        assert_eq!(check(&copy, &group(&[("a", 9, 1), ("b", 15, 2)], 30)), not_newer);
        assert_eq!(check(&copy, &group(&[("a", 9, 1), ("b", 22, 2)], 30)), not_newer, "within the margin");
        let empty = group(&[], 10);
        assert_eq!(check(&empty, &group(&[], 5)), Ok(()));
        assert!(check(&empty, &group(&[], 0)).is_err(), "a stub");
        assert!(replicated((&copy, &clock), None).is_err());
        let ambiguous = StoredGroup { ambiguity: Some(Code::NoJob.because("d")), ..copy.clone() };
        assert_eq!(check(&copy, &ambiguous), Err("d".to_owned()));
    }

    #[test]
    fn corrects_clocks_before_comparing() {
        let copy = group(&[("a", 10)], 10, 0);
        let owner = group(&[("a", 30)], 30, 0);
        let (even, ahead, behind) = (clock("10:00:00"), clock("10:00:30"), clock("09:59:30"));
        // The owner's clock is 30 s ahead, so its push was 10 s before the copy's.
        let Err(KeepReason::NotNewer(_)) = superseded((&copy, &even), Some((&owner, &ahead))) else {
            panic!()
        };
        assert_eq!(superseded((&owner, &ahead), Some((&group(&[("a", 4)], 4, 0), &even))), Ok(()));
        assert_eq!(superseded((&owner, &even), Some((&copy, &behind))), Ok(()));
    }

    #[test]
    fn compares_last_push_of_groups_without_families() {
        let empty = group(&[], 10, 0);
        assert_eq!(compare(&empty, &group(&[], 20, 0)), Ok(()));
        let Err(KeepReason::NotNewer(_)) = compare(&empty, &group(&[], 5, 0)) else { panic!() };
        let Err(KeepReason::NotNewer(_)) = compare(&empty, &group(&[], 0, 20)) else {
            panic!("the owner has a stub")
        };
    }

    #[test]
    fn keeps_copy_with_rejected_push_unknown_to_owner() {
        let copy = group(&[("a", 10)], 10, 40);
        let Err(KeepReason::NotNewer(_)) = compare(&copy, &group(&[("a", 30)], 30, 0)) else { panic!() };
        assert_eq!(compare(&copy, &group(&[("a", 50)], 50, 0)), Ok(()));
        // The owner's own failure time may be older: the gateway never resets it.
        assert_eq!(compare(&group(&[("a", 10)], 10, 0), &group(&[("a", 30)], 30, 0)), Ok(()));
        // A stub: only a rejected push.
        assert_eq!(compare(&group(&[], 0, 10), &group(&[], 30, 0)), Ok(()));
    }

    #[test]
    fn keeps_copy_if_either_group_is_ambiguous() {
        let (copy, owner) = (group(&[("a", 10)], 10, 0), group(&[("a", 30)], 30, 0));
        let ambiguous = |group: &StoredGroup<IgnoredAny>| StoredGroup {
            ambiguity: Some(Code::NoJob.because("d")),
            ..group.clone()
        };
        let kept = || Err(KeepReason::Uncertain(Code::NoJob.because("d")));
        assert_eq!(compare(&ambiguous(&copy), &owner), kept());
        assert_eq!(compare(&copy, &ambiguous(&owner)), kept());
        let unknown = StoredGroup { pushed: None, ..copy };
        let Err(KeepReason::Uncertain(_)) = compare(&unknown, &owner) else { panic!() };
    }
}
