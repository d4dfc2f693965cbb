//! What no gateway can see or say for itself: families that have different types on different gateways, and gateways
//! that are poisoned, with the group that is to blame.
//!
//! A gateway refuses a push whose types differ from what it holds, but it knows nothing of the others: Prometheus then
//! takes in one name with two types. Where a gateway is poisoned, its `/metrics` answers 500 and it refuses every push
//! until the group that broke it is deleted; or its API breaks off, and nothing can be told of its groups.

use std::collections::BTreeMap;

use pushring_router::Config;
use serde::Serialize;

use crate::fleet::survey::{GatewaySurvey, Survey, Unreadable};
use crate::gateway::api::{Labels, PUSH_FAILED};
use crate::gateway::client::Gateway;
use crate::gateway::pool::Gateways;

use super::curl::Curl;
use super::{broken_api, culprits, scrape_error};

/// How often a gateway is asked whose answer tells nobody who is to blame.
const ATTEMPTS: usize = 5;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) gateways: usize,
    /// Families with more than one type, by name.
    pub(crate) conflicts: Vec<Conflict>,
    /// Gateways whose `/metrics` answers 500, or whose API breaks off because of a group.
    pub(crate) poisoned: Vec<Poisoned>,
    /// Gateways about whose groups nothing can be told, and why; one of them may be poisoned too.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A family that has more than one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Conflict {
    pub(crate) family: String,
    /// Who has it with which type, by type, then by gateway.
    pub(crate) holders: Vec<Holder>,
}

/// Groups on one gateway that have a family with the same type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Holder {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Name of the gateway.
    pub(crate) on: String,
    /// How many groups these are.
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
    /// The first of its complaints, in its words; or why its API cannot be read.
    pub(crate) error: String,
    /// How many complaints there are.
    pub(crate) errors: usize,
    /// The groups that are to blame. Empty where its answers do not tell.
    pub(crate) culprits: Vec<Culprit>,
}

/// A group that poisons its gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Culprit {
    /// Its labels; U+FFFD stands for each byte that is not UTF-8.
    pub(crate) labels: Labels,
    pub(crate) reason: String,
    /// The command that deletes it, straight at its gateway, to the byte.
    pub(crate) mend: String,
}

impl Report {
    /// Looks for both. Asks each gateway for its `/metrics`.
    pub(crate) fn new(gateways: &Gateways, config: &Config, survey: &Survey, curl: &Curl) -> Self {
        let poisoned = gateways.each(&survey.gateways, |surveyed| {
            // A gateway goes through its groups in another order each time, and so does what it complains of.
            let mut answers = (0..ATTEMPTS).map_while(|_| ask(surveyed, config, curl));
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

    /// Whether somebody has to do something.
    pub(crate) fn is_bad(&self) -> bool {
        let unreadable = self.unreadable.iter().any(|gateway| gateway.on_ring);
        unreadable || !self.conflicts.is_empty() || !self.poisoned.is_empty()
    }
}

/// What a gateway complains of, how many complaints that are, who is to blame. `None` where it is fine, or where nothing
/// can be told: then it is among the unreadable.
fn ask(surveyed: &GatewaySurvey, config: &Config, curl: &Curl) -> Option<(String, usize, Vec<Culprit>)> {
    match surveyed.gateway.scrape_error().ok()? {
        Some(answer) => Some(failing(&surveyed.gateway, &answer, config, curl)),
        None => silent(surveyed, config, curl),
    }
}

/// What a gateway complains of whose `/metrics` answers 500: the first complaint, how many, who is to blame.
fn failing(gateway: &Gateway, answer: &str, config: &Config, curl: &Curl) -> (String, usize, Vec<Culprit>) {
    let refusals = scrape_error::parse(answer);
    // Where the API cannot be read either, the complaints alone have to do.
    let groups = gateway.groups_with().unwrap_or_default();
    let culprits = culprits::blame(&refusals, &groups).into_iter().map(|blamed| Culprit {
        mend: curl.delete(&[gateway.push_url(&blamed.path(&config.path_prefix))]),
        labels: blamed.labels(),
        reason: blamed.reason,
    });
    (scrape_error::first_line(answer).to_owned(), refusals.len(), culprits.collect())
}

/// The same of one whose API breaks off. `None` where its API is fine, or where that has another reason.
fn silent(surveyed: &GatewaySurvey, config: &Config, curl: &Curl) -> Option<(String, usize, Vec<Culprit>)> {
    let error = surveyed.groups().err()?.to_owned();
    let mut culprits = Vec::new();
    for labels in broken_api::silencing(&surveyed.gateway).ok()? {
        let urls: Vec<String> = broken_api::spellings(&labels)
            .iter()
            .map(|labels| surveyed.gateway.push_url(&culprits::path(&config.path_prefix, labels)))
            .collect();
        let reason = format!("{PUSH_FAILED} was pushed without a value");
        culprits.push(Culprit { labels, reason, mend: curl.delete(&urls) });
    }
    (!culprits.is_empty()).then_some((error, culprits.len(), culprits))
}

/// Who has a family, by type and index of the gateway: how many groups, and the labels of the first.
type Holders<'s> = BTreeMap<(&'s str, usize), (usize, &'s Labels)>;

fn conflicts(survey: &Survey) -> Vec<Conflict> {
    let mut families: BTreeMap<&str, Holders<'_>> = BTreeMap::new();
    for (on, _, group) in survey.copies() {
        for (name, family) in &group.families {
            let holders = families.entry(name).or_default();
            holders.entry((&family.kind, on)).or_insert((0, &group.labels)).0 += 1;
        }
    }
    // Sorted by type: there are several if the first and the last differ.
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
