//! Problems that no single gateway can report: families with different types on different gateways, and
//! poisoned gateways with the group that caused it.
//!
//! A gateway rejects a push whose types differ from its own groups, but it does not know the other gateways;
//! Prometheus then accepts one name with two types. Prometheus stores nothing of a poisoned gateway, or not everything,
//! until the culprit is deleted.

use std::collections::BTreeMap;

use pushring_router::Config;
use serde::Serialize;

use crate::fleet::survey::Survey;
use crate::fleet::unreadable::Unreadable;
use crate::gateway::api::Labels;
use crate::gateway::family_types::class;
use crate::gateway::pool::Gateways;

use super::curl::Curl;
use super::diagnose::{Poisoned, poisoned};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) gateways: usize,
    /// Families with more than one type, by name.
    pub(crate) conflicts: Vec<Conflict>,
    /// Gateways whose exposition Prometheus rejects or loses in part, or whose API breaks off because of a group.
    pub(crate) poisoned: Vec<Poisoned>,
    /// Gateways whose groups or whose `/metrics` cannot be read; they may be poisoned, too.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A family that has more than one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Conflict {
    pub(crate) family: String,
    /// The gateways that hold it, sorted by type, then by gateway.
    pub(crate) holders: Vec<Holder>,
}

/// Groups on one gateway that have a family with the same type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Holder {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Name of the gateway.
    pub(crate) on: String,
    /// Number of groups.
    pub(crate) groups: usize,
    /// The labels of one of them.
    pub(crate) example: Labels,
}

impl Report {
    /// Finds conflicts in the survey, and poisoned gateways by their `/metrics`.
    pub(crate) fn new(gateways: &Gateways, config: &Config, survey: &Survey, curl: &Curl) -> Self {
        let found = gateways.each(&survey.gateways, |surveyed| {
            // If nothing of a gateway can be read, its API is the reason to report.
            poisoned(surveyed, config, curl).map_err(|error| Unreadable {
                gateway: surveyed.gateway.name().to_owned(),
                on_ring: surveyed.on_ring,
                reason: surveyed.groups().err().map_or_else(|| format!("{error:#}"), str::to_owned),
            })
        });
        let mut unreadable = survey.unreadable();
        let mut poisoned = Vec::new();
        for gateway in found {
            match gateway {
                Ok(found) => poisoned.extend(found),
                Err(gateway) if unreadable.contains(&gateway) => {}
                Err(gateway) => unreadable.push(gateway),
            }
        }
        Self { gateways: survey.gateways.len(), conflicts: conflicts(survey), poisoned, unreadable }
    }

    pub(crate) fn is_bad(&self) -> bool {
        let unreadable = self.unreadable.iter().any(|gateway| gateway.on_ring);
        unreadable || !self.conflicts.is_empty() || !self.poisoned.is_empty()
    }
}

/// Holders of a family by type and index of the gateway: number of groups, labels of the first.
type Holders<'s> = BTreeMap<(&'s str, usize), (usize, &'s Labels)>;

fn conflicts(survey: &Survey) -> Vec<Conflict> {
    let mut families: BTreeMap<&str, Holders<'_>> = BTreeMap::new();
    for (on, _, group) in survey.copies() {
        for (name, family) in &group.families {
            let holders = families.entry(name).or_default();
            holders.entry((&family.kind, on)).or_insert((0, &group.labels)).0 += 1;
        }
    }
    families.retain(|_, holders| {
        let mut classes = holders.keys().map(|(kind, _)| class(kind));
        let first = classes.next();
        classes.any(|class| Some(class) != first)
    });
    families.into_iter().map(|(family, holders)| conflict(survey, family, holders)).collect()
}

fn conflict(survey: &Survey, family: &str, holders: Holders<'_>) -> Conflict {
    let holders = holders.into_iter().map(|((kind, on), (groups, example))| Holder {
        kind: kind.to_owned(),
        on: survey.name(on),
        groups,
        example: example.clone(),
    });
    Conflict { family: family.to_owned(), holders: holders.collect() }
}
