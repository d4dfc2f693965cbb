//! The groups of one gateway: each metric of its exposition belongs to the group that was pushed with it. The exposition does
//! not say which one; the API does. Without the API, it is the group with the most labels of those that the metric has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use prost::bytes::Bytes;
use serde_json::value::RawValue;

use super::from_json;
use super::gateway_read::{Exposed, Listing};
use super::metric::{self, Label};
use crate::gateway::api::{Labels, PUSH_FAILED, PUSH_TIME, Push, StoredGroup};
use crate::gateway::exposition::Family;
use crate::reason::{Code, Reason};

/// A Pushgateway adds this label to every metric that lacks it.
const INSTANCE: &str = "instance";
/// Most sets of label names that groups are searched by.
const MAX_SHAPES: usize = 256;

/// One group on one gateway.
#[derive(Debug, Default)]
pub(super) struct HeldGroup {
    pub(super) labels: Labels,
    /// With the two that the gateway adds.
    pub(super) families: BTreeMap<Arc<str>, HeldFamily>,
    pub(super) doubt: Option<Reason>,
    /// Time of the last accepted push, for families whose own time is not known.
    pushed: Timestamp,
}

#[derive(Debug)]
pub(super) struct HeldFamily {
    pub(super) kind: &'static str,
    pub(super) help: Option<Arc<str>>,
    /// That of this group in the API; the exposition has one for all groups.
    pub(super) listed_help: Option<Arc<str>>,
    /// By the gateway's clock.
    pub(super) stamp: Timestamp,
    pub(super) metrics: Vec<Bytes>,
    pub(super) json: Option<Box<RawValue>>,
}

/// Returns the groups that a gateway holds.
pub(super) fn groups(exposed: Exposed, listed: Option<Listing>) -> Vec<HeldGroup> {
    let families = match exposed {
        Exposed::Families(families) => families,
        Exposed::Poisoned(_) => return listed.unwrap_or_default().into_iter().map(from_api).collect(),
    };
    let mut held = Held::new(&families, listed);
    for family in &families {
        held.add(family);
    }
    held.finish()
}

/// Returns the labels of a group from those of its exposed metrics. An empty instance was most likely added.
pub(super) fn without_empty_instance(mut labels: Labels) -> Labels {
    if labels.get(INSTANCE).is_some_and(String::is_empty) {
        labels.remove(INSTANCE);
    }
    labels
}

struct Held {
    groups: Vec<HeldGroup>,
    /// By name of the family and key of the metric, what the API lists.
    listed: HashMap<(Arc<str>, Box<[u8]>), usize>,
    /// By the key of the metrics of the gateway's own families.
    own: HashMap<Box<[u8]>, usize>,
    shapes: Shapes,
}

/// Groups by the names of their labels, those with the most labels first.
#[derive(Default)]
struct Shapes(Vec<Shape>);

/// Names of labels, and the groups that have them, by the key of their labels.
type Shape = (Vec<String>, HashMap<Box<[u8]>, usize>);

impl Held {
    fn new(families: &[Family], listed: Option<Listing>) -> Self {
        let mut held = Self {
            groups: Vec::new(),
            listed: HashMap::new(),
            own: HashMap::new(),
            shapes: Shapes::default(),
        };
        let has_api = listed.is_some();
        // Groups whose labels the API hides are found by their exposed push times.
        let known = |group: &StoredGroup<_>| {
            !group.ambiguity.as_ref().is_some_and(|why| matches!(why.code, Code::UnknownLabels | Code::NoJob))
        };
        for group in listed.unwrap_or_default().into_iter().filter(known) {
            held.add_listed(group);
        }
        let pushes = families.iter().filter(|family| family.name() == PUSH_TIME);
        for metric in pushes.flat_map(Family::metrics).flatten() {
            let key =
                metric::key(metric.labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            if held.own.contains_key(&key) {
                continue;
            }
            let doubt =
                has_api.then(|| Code::UnknownLabels.because("the gateway's API does not report its labels"));
            let pushed = time(metric.gauge.unwrap_or_default());
            held.own.insert(key, held.groups.len());
            let labels = without_empty_instance(metric.labels);
            held.groups.push(HeldGroup { labels, doubt, pushed, ..HeldGroup::default() });
        }
        held.shapes = Shapes::new(&held.groups);
        held
    }

    fn add_listed(&mut self, group: StoredGroup<super::gateway_read::Listed>) {
        let index = self.groups.len();
        let mut exposed = group.labels.clone();
        exposed.entry(INSTANCE.to_owned()).or_default();
        let key = metric::key(exposed.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        self.own.insert(key, index);
        let pushed = group.pushed.map_or(Timestamp::UNIX_EPOCH, |push| push.time_stamp);
        let mut families = BTreeMap::new();
        for (name, push) in [(PUSH_TIME, group.pushed), (PUSH_FAILED, group.rejected)] {
            if let Some(Push { time_stamp, .. }) = push {
                families.insert(Arc::from(name), HeldFamily::empty("GAUGE", time_stamp));
            }
        }
        for (name, family) in group.families {
            let name: Arc<str> = name.into();
            let listed = family.metrics;
            self.listed.extend(listed.keys.into_iter().map(|key| ((name.clone(), key), index)));
            let help = family.help.map(Arc::from);
            let kind = kind(&family.kind);
            let family = HeldFamily {
                listed_help: help,
                json: listed.json,
                ..HeldFamily::empty(kind, family.time_stamp)
            };
            families.insert(name, family);
        }
        self.groups.push(HeldGroup { labels: group.labels, families, doubt: group.ambiguity, pushed });
    }

    fn add(&mut self, family: &Family) {
        let name: Arc<str> = family.name().into();
        let help: Option<Arc<str>> = family.has_help().then(|| String::from_utf8_lossy(family.help()).into());
        let is_own = [PUSH_TIME, PUSH_FAILED].contains(&&*name);
        for raw in family.raw_metrics() {
            let Ok(labels) = metric::labels(raw) else { continue };
            // The gateway's metrics about itself have no job.
            if !labels.iter().any(|label| label.name() == b"job") {
                continue;
            }
            let key = metric::key_of(&labels);
            let own = if is_own { self.own.get(&key).copied() } else { None };
            let group = match own {
                Some(group) => Some(group),
                None => match self.listed.get(&(name.clone(), key)) {
                    Some(group) => Some(*group),
                    None => self.shapes.find(&labels),
                },
            };
            let Some(group) = group.and_then(|group| self.groups.get_mut(group)) else { continue };
            let pushed = group.pushed;
            let entry = group.families.entry(name.clone());
            let held = entry.or_insert_with(|| HeldFamily::empty(family.kind(), pushed));
            // The exposition has one type and one text for all groups of a gateway.
            (held.kind, held.help) = (family.kind(), help.clone());
            held.metrics.push(raw.clone());
        }
    }

    /// Drops families of the API that were pushed after the exposition was read.
    fn finish(self) -> Vec<HeldGroup> {
        let with_metrics: std::collections::HashSet<_> =
            self.listed.into_iter().map(|((name, _), group)| (group, name)).collect();
        let mut groups = self.groups;
        for (index, group) in groups.iter_mut().enumerate() {
            group.families.retain(|name, family| {
                !family.metrics.is_empty() || !with_metrics.contains(&(index, name.clone()))
            });
        }
        groups
    }
}

impl HeldFamily {
    fn empty(kind: &'static str, stamp: Timestamp) -> Self {
        Self { kind, help: None, listed_help: None, stamp, metrics: Vec::new(), json: None }
    }
}

impl Shapes {
    fn new(groups: &[HeldGroup]) -> Self {
        let mut shapes: HashMap<Vec<String>, HashMap<Box<[u8]>, usize>> = HashMap::new();
        for (index, group) in groups.iter().enumerate() {
            let labels = without_empty_instance(group.labels.clone());
            let key = metric::key(labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            let names: Vec<String> = labels.into_keys().collect();
            shapes.entry(names).or_default().insert(key, index);
        }
        let mut shapes: Vec<_> = shapes.into_iter().collect();
        shapes.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        shapes.truncate(MAX_SHAPES);
        Self(shapes)
    }

    fn find(&self, labels: &[Label]) -> Option<usize> {
        let value = |name: &String| labels.iter().find(|label| label.name() == name.as_bytes());
        self.0.iter().find_map(|(names, groups)| {
            let part: Option<Vec<_>> = names.iter().map(value).collect();
            groups.get(&metric::key(part?.into_iter().map(|label| (label.name(), label.value())))).copied()
        })
    }
}

/// Converts a group of a poisoned gateway, which has no exposition.
fn from_api(group: StoredGroup<super::gateway_read::Listed>) -> HeldGroup {
    let mut families = BTreeMap::new();
    let own = [
        (PUSH_TIME, group.pushed, from_json::PUSH_TIME_HELP),
        (PUSH_FAILED, group.rejected, from_json::PUSH_FAILED_HELP),
    ];
    for (name, push, help) in own {
        let Some(Push { time_stamp, seconds }) = push else { continue };
        let metrics = vec![from_json::gauge(&group.labels, seconds)];
        families.insert(
            Arc::from(name),
            HeldFamily { help: Some(help.into()), metrics, ..HeldFamily::empty("GAUGE", time_stamp) },
        );
    }
    for (name, family) in group.families {
        let kind = kind(&family.kind);
        let json = family.metrics.json;
        // A type that JSON does not carry is left out, rather than shown wrong.
        let Some(metrics) = json.as_deref().and_then(|json| from_json::metrics(kind, json)) else { continue };
        let help = family.help.map(Arc::from);
        families.insert(
            name.into(),
            HeldFamily {
                help: help.clone(),
                listed_help: help,
                metrics,
                json,
                ..HeldFamily::empty(kind, family.time_stamp)
            },
        );
    }
    let pushed = group.pushed.map_or(Timestamp::UNIX_EPOCH, |push| push.time_stamp);
    HeldGroup { labels: group.labels, families, doubt: group.ambiguity, pushed }
}

fn kind(name: &str) -> &'static str {
    ["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM"]
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or_default()
}

/// Converts seconds since 1970.
#[allow(clippy::cast_possible_truncation)]
fn time(seconds: f64) -> Timestamp {
    Timestamp::from_nanosecond((seconds * 1e9) as i128).unwrap_or(Timestamp::UNIX_EPOCH)
}
