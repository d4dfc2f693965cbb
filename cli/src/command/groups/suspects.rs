//! Finds the groups that cause the problems of an exposition. The gateway's API shows which of the labels of a metric are
//! grouping labels; without it, the gateway's own gauge shows which groups exist.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::clashes::{is_unlike_own, of_collision, of_rarer_type, type_reason};
use super::culprits::{
    Blamed, Detailed, bytes, exact_labels, go_text, has_labels, text_of, without_empty_instance,
};
use super::exposed::{Cause, Exposed, Problem};
use super::rejections;
use super::scrape_error::Bytes;
use crate::gateway::api::PUSH_FAILED;
use crate::gateway::family_types::{SUFFIXES, class};
use crate::output;
use crate::reason::{Code, Reason};

/// A group that may cause a problem.
struct Suspect {
    labels: Bytes,
    is_exposed: bool,
    /// Time of the last accepted push; 0 if there was none.
    pushed: f64,
}

struct Finder<'s> {
    exposed: &'s Exposed,
    /// All groups of the API, and those with a certain job.
    groups: &'s [Detailed],
    jobs: HashMap<&'s str, Vec<&'s Detailed>>,
}

/// Returns the groups to delete, each once. `groups` is empty if the API cannot be read.
pub(super) fn blame(exposed: &Exposed, groups: &[Detailed]) -> Vec<Blamed> {
    let mut jobs: HashMap<&str, Vec<&Detailed>> = HashMap::new();
    for group in groups {
        jobs.entry(group.labels.get("job").map_or("", String::as_str)).or_default().push(group);
    }
    let finder = Finder { exposed, groups, jobs };
    let found = exposed.problems.iter().flat_map(|problem| finder.of_problem(problem));
    let mut known = HashSet::new();
    let all = found.chain(finder.by_chance()).chain(rejections::blame(groups));
    all.filter(|blamed| known.insert(blamed.labels.clone())).collect()
}

impl Finder<'_> {
    fn of_problem(&self, problem: &Problem) -> Vec<Blamed> {
        let (family, reason) = (go_text(&problem.family), &problem.reason);
        let metrics = match &problem.cause {
            Cause::Duplicates(metrics) => return self.duplicates(reason, metrics),
            Cause::Help(metrics) | Cause::Type(metrics) | Cause::Metrics(metrics) => metrics,
        };
        let sure: Vec<Blamed> = match &problem.cause {
            Cause::Help(_) => self.groups_where(&family, reason, |group| self.has_bad_help(group, &family)),
            Cause::Type(_) => self.groups_where(&family, reason, |group| has_unknown_type(group, &family)),
            Cause::Metrics(_) if reason.code == Code::InvalidMetric => self.of_type(&family, reason, metrics),
            Cause::Metrics(_) | Cause::Duplicates(_) => Vec::new(),
        };
        if !sure.is_empty() {
            return sure;
        }
        let suspects = metrics.iter().flat_map(|metric| self.suspects(&family, metric));
        suspects.map(|suspect| suspect.blamed(&family, reason.clone())).collect()
    }

    /// Returns the groups that set the type of a histogram family in which these metrics are no histograms: perhaps without
    /// a metric.
    fn of_type(&self, family: &str, reason: &Reason, metrics: &[Bytes]) -> Vec<Blamed> {
        let texts: Vec<_> = metrics.iter().map(text_of).collect();
        let is_cause = |group: &Detailed| {
            group.families.get(family).is_some_and(|found| {
                let has_any = || texts.iter().any(|text| exact_labels(group, family, text).is_some());
                class(&found.kind) == "HISTOGRAM" && (found.metrics.is_empty() || has_any())
            })
        };
        let sure = self.groups_where(family, reason, is_cause);
        if sure.is_empty() { self.of_rarer_type(family) } else { sure }
    }

    fn of_rarer_type(&self, family: &str) -> Vec<Blamed> {
        let groups = of_rarer_type(family, None, self.groups).into_iter();
        groups.flat_map(|group| self.all(family, &type_reason(family, group), vec![group])).collect()
    }

    /// Keeps one group: the one that was pushed last, but no stub next to a group with data, and no group with an empty label
    /// next to one without.
    fn duplicates(&self, reason: &Reason, metrics: &[(Vec<u8>, Bytes)]) -> Vec<Blamed> {
        let mut unique: BTreeMap<Bytes, (String, Suspect, BTreeSet<String>)> = BTreeMap::new();
        for (family, metric) in metrics {
            let family = go_text(family);
            for suspect in self.suspects(&family, metric) {
                let known = unique.entry(suspect.labels.clone());
                let known = known.or_insert((family.clone(), suspect, BTreeSet::new()));
                known.2.extend(empty_labels(metric));
            }
        }
        let mut suspects: Vec<_> = unique.into_values().collect();
        suspects.sort_by(|(_, a, empty_a), (_, b, empty_b)| {
            let rank = |suspect: &Suspect, empty: &BTreeSet<String>| (suspect.pushed > 0.0, empty.is_empty());
            rank(a, empty_a).cmp(&rank(b, empty_b)).then(a.pushed.total_cmp(&b.pushed))
        });
        let kept = if suspects.len() > 1 { suspects.pop() } else { None };
        let also = kept.map(|(family, kept, _)| kept.blamed(&family, reason.clone()).labels());
        let also = also.map(|labels| format!("; the other is in {}", output::group(&labels)));
        let also = also.unwrap_or_default();
        let blamed = |(family, suspect, empty): (String, Suspect, BTreeSet<String>)| {
            let empty: Vec<_> = empty.into_iter().collect();
            let empty = match empty.join(", ") {
                empty if empty.is_empty() => empty,
                empty => format!("; this group has an empty label: {empty}"),
            };
            suspect.blamed(&family, reason.code.because(format!("{reason}{empty}{also}")))
        };
        suspects.into_iter().map(blamed).collect()
    }

    /// Finds groups whose metadata the gateway exposes by chance: of several groups with a family, it exposes the type
    /// and the `# HELP` text of the group that it visits first, in random order.
    fn by_chance(&self) -> Vec<Blamed> {
        let mut blamed = Vec::new();
        let mut families: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for group in self.groups.iter().filter(|group| has_labels(group)) {
            for (name, family) in &group.families {
                families.entry(name).or_default().insert(&family.kind);
            }
        }
        let names = families.keys().copied().chain([PUSH_FAILED]);
        for name in names.filter(|name| self.exposed.helps.contains_key(name.as_bytes())) {
            let text = "the # HELP text is not UTF-8, and the gateway exposes it by chance";
            let reason = Code::NotUtf8.because(format!("{name}: {text}"));
            blamed.extend(self.groups_where(name, &reason, |group| self.has_bad_help(group, name)));
        }
        let differ =
            |kinds: &HashSet<&str>| kinds.iter().map(|kind| class(kind)).collect::<HashSet<&str>>().len() > 1;
        let has_metrics = |name: &str| {
            let mut families = self.groups.iter().filter_map(|group| group.families.get(name));
            families.any(|family| !family.metrics.is_empty())
        };
        blamed.extend(self.exposed.own.iter().flat_map(|(name, own)| self.unlike_own(name, own)));
        let is_own = |name: &str| self.exposed.own.contains_key(name);
        let differing = families.iter().filter(|(_, kinds)| differ(kinds)).map(|(name, _)| *name);
        for name in differing.filter(|name| has_metrics(name) && !is_own(name)) {
            let text = "its type is unknown, and another group has another type";
            let unknown = Code::UnknownType.because(format!("{name}: {text}"));
            let sure = self.groups_where(name, &unknown, |group| has_unknown_type(group, name));
            let rarer = || self.of_rarer_type(name);
            blamed.extend(if sure.is_empty() { rarer() } else { sure });
        }
        // Only next to a histogram does the gateway reject families with the names of its series.
        let both = ["HISTOGRAM", "GAUGE_HISTOGRAM"];
        let both = families.iter().filter(|(_, kinds)| both.iter().all(|kind| kinds.contains(kind)));
        blamed.extend(both.flat_map(|(name, _)| self.suffixed(name)));
        blamed
    }

    fn unlike_own(&self, name: &str, own: &(String, &str)) -> Vec<Blamed> {
        let text =
            "the type or # HELP text is not that of the gateway's own metrics: it answers 500 by chance";
        let reason = Code::NameConflict.because(format!("{name}: {text}"));
        self.groups_where(name, &reason, |group| is_unlike_own(name, own, group))
    }

    /// Returns the groups of the families with the names of the series of this one, or its groups if they are fewer.
    fn suffixed(&self, name: &str) -> Vec<Blamed> {
        let of_suffix = |suffix: &str| {
            let other = format!("{name}{suffix}");
            if !self.groups.iter().any(|group| group.families.contains_key(&other)) {
                return Vec::new();
            }
            let text = "the gateway answers 500 by chance, if it exposes the type HISTOGRAM";
            let reason = Code::NameConflict.because(format!("{name} and {other}: {text}"));
            self.all(name, &reason, of_collision(name, &other, self.groups))
        };
        SUFFIXES.into_iter().flat_map(of_suffix).collect()
    }

    fn groups_where(&self, family: &str, reason: &Reason, is: impl Fn(&Detailed) -> bool) -> Vec<Blamed> {
        let found = self.groups.iter().filter(|group| has_labels(group) && is(group));
        self.all(family, reason, found.collect())
    }

    fn all(&self, family: &str, reason: &Reason, groups: Vec<&Detailed>) -> Vec<Blamed> {
        let blamed = |group: &Detailed| Blamed {
            labels: bytes(&group.labels),
            family: family.to_owned(),
            reason: reason.clone(),
            is_exposed: false,
        };
        groups.into_iter().map(blamed).collect()
    }

    /// The API replaces bytes that are not UTF-8 by U+FFFD. A text that has this character itself is exposed unchanged.
    fn has_bad_help(&self, group: &Detailed, family: &str) -> bool {
        let help = match family {
            PUSH_FAILED => group.rejected_help.as_ref(),
            _ => group.families.get(family).and_then(|family| family.help.as_ref()),
        };
        let exposed = self.exposed.helps.get(family.as_bytes());
        help.is_some_and(|help| help.contains('\u{fffd}') && exposed != Some(help))
    }

    /// Returns the groups that may have pushed a metric: exactly the right ones if the API shows them.
    fn suspects(&self, family: &str, metric: &Bytes) -> Vec<Suspect> {
        let text = text_of(metric);
        let job = text.get("job").map_or("", |job| job.0.as_str());
        let of_job = self.jobs.get(job).into_iter().flatten();
        let sure: Vec<Suspect> = of_job
            .filter_map(|group| {
                let labels = exact_labels(group, family, &text)?;
                let pushed = group.pushed.map_or(0.0, |push| push.seconds);
                Some(Suspect { labels, is_exposed: false, pushed })
            })
            .collect();
        if !sure.is_empty() {
            return sure;
        }
        let has = |labels: &Bytes| {
            without_empty_instance(labels).iter().all(|(name, value)| metric.get(name) == Some(value))
        };
        let groups = self.exposed.groups.iter().filter(|(labels, _)| has(labels));
        // Another group may have pushed it, with the other labels in the metric, but it is unlikely.
        let closest = groups.max_by_key(|(labels, _)| without_empty_instance(labels).len());
        let suspect = |(labels, pushed): &(Bytes, f64)| Suspect {
            labels: labels.clone(),
            is_exposed: true,
            pushed: *pushed,
        };
        closest.map(suspect).into_iter().collect()
    }
}

impl Suspect {
    fn blamed(self, family: &str, reason: Reason) -> Blamed {
        Blamed { labels: self.labels, family: family.to_owned(), reason, is_exposed: self.is_exposed }
    }
}

/// Returns the names of labels with an empty value, except `instance`, which the gateway adds to every metric.
fn empty_labels(metric: &Bytes) -> impl Iterator<Item = String> {
    let empty = metric.iter().filter(|(name, value)| value.is_empty() && **name != *b"instance");
    empty.map(|(name, _)| go_text(name))
}

fn has_unknown_type(group: &Detailed, family: &str) -> bool {
    // The API writes the number of a type without a name.
    group.families.get(family).is_some_and(|family| family.kind.parse::<i32>().is_ok())
}
