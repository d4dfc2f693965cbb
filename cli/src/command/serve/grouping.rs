//! Sorts the metrics of one gateway by group: each metric of its exposition belongs to the group that was pushed with it. The
//! exposition does not say which one; the API does. Without the API, it is the group with the most labels of those that the
//! metric has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::gateway_read::Listed;
use super::held::{Families, HeldFamily, HeldGroup, INSTANCE, kind, without_empty_instance};
use super::metric::{self, Label};
use crate::gateway::api::{Labels, PUSH_FAILED, PUSH_TIME, Push, StoredGroup};
use crate::gateway::exposition::Family;
use crate::reason::Code;

/// Most sets of label names that groups are searched by.
const MAX_SHAPES: usize = 256;

/// The groups of a gateway, from its API first, then from its exposition.
#[derive(Default)]
pub(super) struct Grouping {
    groups: Vec<HeldGroup>,
    /// If the API was read: a time before, by the gateway's clock.
    asked: Option<Timestamp>,
    /// By name of the family and key of the metric, what the API lists.
    listed: HashMap<(Arc<str>, Box<[u8]>), usize>,
    /// By the key of the metrics of the gateway's own families.
    own: HashMap<Box<[u8]>, usize>,
    shapes: Shapes,
    /// Names and `# HELP` texts, which most groups share.
    texts: HashSet<Arc<str>>,
}

/// Groups by the names of their labels, those with the most labels first.
#[derive(Default)]
struct Shapes(Vec<Shape>);

/// Names of labels, and the groups that have them, by the key of their labels.
type Shape = (Vec<String>, HashMap<Box<[u8]>, usize>);

impl Grouping {
    /// Begins with the API of the gateway, of which [`Grouping::list`] takes the groups. It is read after `asked`, by the
    /// gateway's clock.
    pub(super) fn with_api(asked: Timestamp) -> Self {
        Self { asked: Some(asked), ..Self::default() }
    }

    /// Takes a group of the API.
    pub(super) fn list(&mut self, group: StoredGroup<Listed>) {
        // Groups whose labels the API hides are found by their exposed push times.
        if group.ambiguity.as_ref().is_some_and(|why| matches!(why.code, Code::UnknownLabels | Code::NoJob)) {
            return;
        }
        let index = self.groups.len();
        self.own.insert(exposed_key(&group.labels), index);
        let pushed = group.pushed.map_or(Timestamp::UNIX_EPOCH, |push| push.time_stamp);
        let mut families = Families::default();
        for (name, push) in [(PUSH_TIME, group.pushed), (PUSH_FAILED, group.rejected)] {
            if let Some(Push { time_stamp, .. }) = push {
                families.insert(self.text(name), HeldFamily::empty("GAUGE", time_stamp));
            }
        }
        for (name, family) in group.families {
            let name = self.text(&name);
            let listed = family.metrics;
            self.listed.extend(listed.keys.into_iter().map(|key| ((name.clone(), key), index)));
            let family = HeldFamily {
                listed_help: family.help.map(|help| self.text(&help)),
                json: listed.json,
                ..HeldFamily::empty(kind(&family.kind), family.time_stamp)
            };
            families.insert(name, family);
        }
        self.groups.push(HeldGroup { labels: group.labels, families, doubt: group.ambiguity, pushed });
    }

    /// Adds the exposition, which was read after the API, and returns the groups.
    pub(super) fn finish(mut self, exposed: &[Family]) -> Vec<HeldGroup> {
        self.add_unlisted(exposed);
        self.shapes = Shapes::new(&self.groups);
        for family in exposed {
            self.add(family);
        }
        // Families of the API that were deleted before the exposition was read are dropped.
        let with_metrics: HashSet<_> =
            self.listed.into_iter().map(|((name, _), group)| (group, name)).collect();
        let mut groups = self.groups;
        for (index, group) in groups.iter_mut().enumerate() {
            group.families.retain(|name, family| {
                !family.metrics.is_empty() || !with_metrics.contains(&(index, name.clone()))
            });
        }
        groups
    }

    /// Adds the groups that the API does not list, by their push times.
    fn add_unlisted(&mut self, exposed: &[Family]) {
        let pushes = exposed.iter().filter(|family| family.name() == PUSH_TIME);
        for metric in pushes.flat_map(Family::metrics).flatten() {
            let key =
                metric::key(metric.labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            if self.own.contains_key(&key) {
                continue;
            }
            let pushed = time(metric.gauge.unwrap_or_default());
            let is_new = self.asked.is_none_or(|asked| pushed >= asked);
            let doubt = (!is_new)
                .then(|| Code::UnknownLabels.because("the gateway's API does not report its labels"));
            self.own.insert(key, self.groups.len());
            let labels = without_empty_instance(metric.labels);
            self.groups.push(HeldGroup { labels, doubt, pushed, ..HeldGroup::default() });
        }
    }

    fn add(&mut self, family: &Family) {
        let name = self.text(family.name());
        let help = family.has_help().then(|| self.text(&String::from_utf8_lossy(family.help())));
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
            let empty = || HeldFamily::empty(family.kind(), group.pushed);
            let held = group.families.get_or_insert_with(&name, empty);
            // The exposition has one type and one text for all groups of a gateway.
            (held.kind, held.help) = (family.kind(), help.clone());
            held.push(raw.clone());
        }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.texts.insert(text.clone());
        text
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

/// Returns the key of the gateway's own metrics of a group.
fn exposed_key(labels: &Labels) -> Box<[u8]> {
    let mut labels = labels.clone();
    labels.entry(INSTANCE.to_owned()).or_default();
    metric::key(labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

/// Converts seconds since 1970.
#[allow(clippy::cast_possible_truncation)]
fn time(seconds: f64) -> Timestamp {
    Timestamp::from_nanosecond((seconds * 1e9) as i128).unwrap_or(Timestamp::UNIX_EPOCH)
}
