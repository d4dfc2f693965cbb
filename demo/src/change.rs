//! Describes the difference between two rings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pushring_router::{Member, Placement, Router};

use crate::groups::GROUPS;

/// The difference between two rings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// Names of new members.
    pub(crate) added: Vec<String>,
    /// Names of removed members.
    pub(crate) removed: Vec<String>,
    /// Names of members with a new address or weight.
    pub(crate) changed: Vec<String>,
    /// Whether a setting that decides owners changed.
    rules: bool,
    members: usize,
    /// Number of members of the new ring.
    pub(crate) points: usize,
    /// Expected share of all groups with a new owner; `None` if the rings cannot be compared.
    moved: Option<f64>,
    /// Groups of the demo with a new owner, and that owner.
    groups: Vec<(String, String)>,
}

impl Change {
    /// Compares two rings.
    pub(crate) fn between(old: &Router, new: &Router) -> Self {
        let [before, after] = [old, new].map(|router| by_name(&router.config().members));
        let names = |of: &BTreeMap<&str, &Member>, other: &BTreeMap<&str, &Member>| {
            of.keys().filter(|name| !other.contains_key(**name)).map(|name| (*name).to_owned()).collect()
        };
        let differs = |name: &&&str| after.get(**name).is_some_and(|member| *member != before[**name]);
        Self {
            added: names(&after, &before),
            removed: names(&before, &after),
            changed: before.keys().filter(differs).map(|name| (*name).to_owned()).collect(),
            rules: rules(old) != rules(new),
            members: new.config().members.len(),
            points: new.ring().points(),
            moved: moved(old, new),
            groups: moved_groups(old, new),
        }
    }

    /// Describes the new ring: "ring now 2 members, 33.1% of groups moved".
    pub(crate) fn ring(&self) -> String {
        let ring = format!("ring now {}", count(self.members, "member"));
        match self.moved {
            Some(share) => format!("{ring}, {:.1}% of groups moved", (share * 100.0).abs()),
            None => format!("{ring}, placement changed: any group may have moved"),
        }
    }

    /// Lists the new owners of the demo's groups; empty if none moved.
    pub(crate) fn groups(&self) -> Option<String> {
        let lines: Vec<String> =
            self.groups.iter().map(|(group, owner)| format!("   {group} moved to {owner}")).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// Describes the change: "member 127.0.0.1:19104 added".
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        let lists = [(&self.added, "added"), (&self.removed, "removed"), (&self.changed, "changed")];
        for (names, what) in lists {
            match names.as_slice() {
                [] => {}
                [one] => parts.push(format!("member {one} {what}")),
                many => parts.push(format!("members {} {what}", many.join(", "))),
            }
        }
        if self.rules || parts.is_empty() {
            parts.push("settings changed".to_owned());
        }
        f.write_str(&parts.join("; "))
    }
}

fn by_name(members: &[Member]) -> BTreeMap<&str, &Member> {
    members.iter().map(|member| (member.name.as_str(), member)).collect()
}

/// Returns the settings that decide owners, apart from the members.
fn rules(router: &Router) -> impl PartialEq {
    let config = router.config();
    (config.placement, config.route_by, config.path_prefix.clone(), config.utf8_names)
}

/// Compares point by point, which requires the same hashes.
fn moved(old: &Router, new: &Router) -> Option<f64> {
    let (before, after) = (old.config(), new.config());
    let hash = |placement| matches!(placement, Placement::Ring { .. });
    let keys = (before.route_by, &before.path_prefix, before.utf8_names)
        == (after.route_by, &after.path_prefix, after.utf8_names);
    let same = |i: usize, j: usize| {
        let names = before.members.get(i).zip(after.members.get(j));
        names.is_some_and(|(one, other)| one.name == other.name)
    };
    (keys && hash(before.placement) == hash(after.placement)).then(|| old.ring().moved(new.ring(), same))
}

fn moved_groups(old: &Router, new: &Router) -> Vec<(String, String)> {
    let owner = |router: &Router, path: &str| {
        let group = router.group(path.as_bytes())?;
        router.owner(&group.key).map(|owner| owner.name.clone())
    };
    let moved = |group: &crate::groups::Group| {
        let path = group.spellings.first()?;
        let new_owner = owner(new, path)?;
        (owner(old, path)? != new_owner).then(|| (group.text(), new_owner))
    };
    GROUPS.iter().filter_map(moved).collect()
}

/// Formats "1 member" or "2 members".
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Returns the names of the members.
pub(crate) fn names(router: &Router) -> BTreeSet<String> {
    router.config().members.iter().map(|member| member.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(old: &str, new: &str) -> Change {
        let router = |members: &str| Router::parse(format!("{{{members}}}").as_bytes()).unwrap();
        Change::between(&router(old), &router(new))
    }

    #[test]
    fn describes_a_new_member() {
        let change = change(r#""members": ["a:1", "b:1"]"#, r#""members": ["c:1", "b:1", "a:1"]"#);
        assert_eq!(change.to_string(), "member c:1 added");
        assert!(change.ring().starts_with("ring now 3 members, 3"), "{}", change.ring());
        assert_eq!(change.points, 3072);
        assert!(change.groups.iter().all(|(_, owner)| owner == "c:1"), "{change:?}");
        assert!(!change.groups.is_empty());
    }

    #[test]
    fn describes_removals_changes_and_settings() {
        let members = r#""members": [{"name": "a", "address": "a:1"}, "b:1", "c:1"]"#;
        let left = change(members, r#""members": [{"name": "a", "address": "a:2"}, "c:1"]"#);
        assert_eq!(left.to_string(), "member b:1 removed; member a changed");
        let rules = change(members, &format!(r#"{members}, "route_by": "job""#));
        assert_eq!(rules.to_string(), "settings changed");
        assert!(rules.ring().ends_with("any group may have moved"), "{}", rules.ring());
        let same = change(members, &format!(r#"{members}, "lookup": "off""#));
        assert!(same.ring().ends_with("0.0% of groups moved"), "{}", same.ring());
        assert_eq!(same.groups(), None);
        let placement =
            change(members, &format!(r#"{members}, "placement": {{"type": "dynamic-sharding"}}"#));
        assert_eq!(placement.moved, None);
    }
}
