//! Problems that no single gateway can report: families with different types on different gateways, and
//! poisoned gateways with the group that caused it.
//!
//! A gateway rejects a push whose types differ from its own groups, but it does not know the other gateways;
//! Prometheus then accepts one name with two types. A poisoned gateway answers 500 at `/metrics` and rejects
//! every push until the culprit is deleted; or its API breaks off, and its groups are unknown.

use std::collections::BTreeMap;

use pushring_router::Config;
use serde::Serialize;

use crate::fleet::survey::{GatewaySurvey, Survey};
use crate::fleet::unreadable::Unreadable;
use crate::gateway::api::{Labels, PUSH_FAILED};
use crate::gateway::client::Gateway;
use crate::gateway::pool::Gateways;
use crate::reason::{Code, Reason};

use super::curl::Curl;
use super::{broken_api, culprits, scrape_error};

/// Attempts to find the offending group before giving up.
const ATTEMPTS: usize = 5;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) gateways: usize,
    /// Families with more than one type, by name.
    pub(crate) conflicts: Vec<Conflict>,
    /// Gateways whose `/metrics` answers 500, or whose API breaks off because of a group.
    pub(crate) poisoned: Vec<Poisoned>,
    /// Gateways whose groups are unknown; they may be poisoned, too.
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

/// A gateway that is poisoned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Poisoned {
    pub(crate) gateway: String,
    /// Whether it is on the ring.
    pub(crate) on_ring: bool,
    /// The first error that it reports, or the reason why its API cannot be read.
    pub(crate) error: String,
    /// Number of errors that were understood.
    pub(crate) errors: usize,
    /// The groups that cause the errors. Empty if its answers do not identify them.
    pub(crate) culprits: Vec<Culprit>,
}

/// A group that poisons its gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Culprit {
    /// U+FFFD replaces each byte that is not UTF-8.
    pub(crate) labels: Labels,
    #[serde(flatten)]
    pub(crate) reason: Reason,
    /// Command that deletes exactly this group, directly on its gateway.
    pub(crate) mend: String,
}

impl Report {
    /// Finds conflicts in the survey, and poisoned gateways by their `/metrics`.
    pub(crate) fn new(gateways: &Gateways, config: &Config, survey: &Survey, curl: &Curl) -> Self {
        let poisoned = gateways.each(&survey.gateways, |surveyed| {
            // A gateway visits its groups in random order, so each answer may report other errors.
            let mut answers = (0..ATTEMPTS).map_while(|_| diagnose(surveyed, config, curl));
            let first = answers.next()?;
            let (error, errors, culprits) = if first.2.is_empty() {
                answers.find(|(.., culprits)| !culprits.is_empty()).unwrap_or(first)
            } else {
                first
            };
            let gateway = surveyed.gateway.name().to_owned();
            Some(Poisoned { gateway, on_ring: surveyed.on_ring, error, errors, culprits })
        });
        Self {
            gateways: survey.gateways.len(),
            conflicts: conflicts(survey),
            poisoned: poisoned.into_iter().flatten().collect(),
            unreadable: survey.unreadable(),
        }
    }

    pub(crate) fn is_bad(&self) -> bool {
        let unreadable = self.unreadable.iter().any(|gateway| gateway.on_ring);
        unreadable || !self.conflicts.is_empty() || !self.poisoned.is_empty()
    }
}

/// The first error of a gateway, the number of errors, and the culprits.
type Diagnosis = (String, usize, Vec<Culprit>);

/// Returns `None` if the gateway is healthy, or unreadable for another reason.
fn diagnose(surveyed: &GatewaySurvey, config: &Config, curl: &Curl) -> Option<Diagnosis> {
    match surveyed.gateway.scrape_error().ok()? {
        Some(answer) => Some(diagnose_scrape(&surveyed.gateway, &answer, config, curl)),
        None => diagnose_api(surveyed, config, curl),
    }
}

/// As [`diagnose`], for a gateway whose `/metrics` answers 500.
fn diagnose_scrape(gateway: &Gateway, answer: &str, config: &Config, curl: &Curl) -> Diagnosis {
    let errors = scrape_error::parse(answer);
    // If the API cannot be read either, only the errors themselves identify groups.
    let groups = gateway.groups_with().unwrap_or_default();
    let culprits = culprits::blame(&errors, &groups).into_iter().map(|blamed| Culprit {
        mend: curl.delete(&[gateway.push_url(&blamed.path(&config.path_prefix))]),
        labels: blamed.labels(),
        reason: blamed.reason,
    });
    (scrape_error::first_line(answer).to_owned(), errors.len(), culprits.collect())
}

/// As [`diagnose`], for a gateway whose API breaks off.
fn diagnose_api(surveyed: &GatewaySurvey, config: &Config, curl: &Curl) -> Option<Diagnosis> {
    let error = surveyed.groups().err()?.to_owned();
    let mut culprits = Vec::new();
    for labels in broken_api::culprits(&surveyed.gateway).ok()? {
        let urls: Vec<String> = broken_api::possible_labels(&labels)
            .iter()
            .map(|labels| surveyed.gateway.push_url(&culprits::path(&config.path_prefix, labels)))
            .collect();
        let reason = Code::NoValue.because(format!("{PUSH_FAILED} was pushed without a value"));
        culprits.push(Culprit { labels, reason, mend: curl.delete(&urls) });
    }
    (!culprits.is_empty()).then_some((error, culprits.len(), culprits))
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
    // Sorted by type: there are several types if the first and the last differ.
    families.retain(|_, holders| {
        let (first, last) = (holders.keys().next(), holders.keys().next_back());
        first.map(|key| key.0) != last.map(|key| key.0)
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
