//! What no gateway can see or say for itself: families that have different types on different gateways, and gateways
//! that are poisoned, with the group that is to blame.
//!
//! A gateway refuses a push whose types differ from what it holds, but it knows nothing of the others: Prometheus then
//! takes in one name with two types. Where a gateway is poisoned, its `/metrics` answers 500 and it refuses every push
//! until the group that broke it is deleted.

use std::collections::BTreeMap;

use pushring_router::Config;
use serde::Serialize;

use crate::gateway::{Gateways, Labels};
use crate::survey::Survey;
use crate::sweep::{Unreadable, unreadable};

pub use curl::Curl;

mod blame;
mod curl;
mod refusal;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many gateways were asked.
    pub gateways: usize,
    /// Families with more than one type, by name.
    pub conflicts: Vec<Conflict>,
    /// Gateways whose `/metrics` answers 500.
    pub poisoned: Vec<Poisoned>,
    /// Gateways about whose groups nothing can be told, and why; one of them may be poisoned too.
    pub unreadable: Vec<Unreadable>,
}

/// A family that has more than one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Its name.
    pub family: String,
    /// Who has it with which type, by type, then by gateway.
    pub holders: Vec<Holder>,
}

/// Groups on one gateway that have a family with the same type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// `COUNTER`, `GAUGE`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the gateway.
    pub on: String,
    /// How many groups these are.
    pub groups: usize,
    /// The labels of one of them.
    pub example: Labels,
}

/// A gateway that is poisoned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Poisoned {
    /// Its name.
    pub gateway: String,
    /// Whether it is on the ring.
    pub on_ring: bool,
    /// The first of its complaints, in its words.
    pub error: String,
    /// How many complaints there are.
    pub errors: usize,
    /// The groups that are to blame. Empty where its answers do not tell.
    pub culprits: Vec<Culprit>,
}

/// A group that makes its gateway answer 500.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Culprit {
    /// Its labels; U+FFFD stands for each byte that is not UTF-8.
    pub labels: Labels,
    /// What is wrong with it.
    pub reason: String,
    /// The command that deletes it, straight at its gateway, to the byte.
    pub mend: String,
}

impl Report {
    /// Looks for both. Asks each gateway for its `/metrics`.
    #[must_use]
    pub fn new(gateways: &Gateways, config: &Config, survey: &Survey, curl: &Curl) -> Self {
        let poisoned = gateways.each(&survey.gateways, |reading| {
            // One that cannot be reached is among the unreadable.
            let answer = reading.gateway.scrape_error().ok()??;
            let refusals = refusal::parse(&answer);
            // Where the API cannot be read either, the complaints alone have to do.
            let groups = reading.gateway.groups_with().unwrap_or_default();
            let culprit = |blamed: blame::Blamed| Culprit {
                mend: curl.delete(&reading.gateway.push_url(&blamed.path(&config.path_prefix))),
                labels: blamed.labels(),
                reason: blamed.reason,
            };
            Some(Poisoned {
                gateway: reading.gateway.name().to_owned(),
                on_ring: reading.on_ring,
                error: refusal::first_line(&answer).to_owned(),
                errors: refusals.len(),
                culprits: blame::blame(&refusals, &groups).into_iter().map(culprit).collect(),
            })
        });
        Self {
            gateways: survey.gateways.len(),
            conflicts: conflicts(survey),
            poisoned: poisoned.into_iter().flatten().collect(),
            unreadable: unreadable(survey),
        }
    }

    /// Whether somebody has to do something.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        let unreadable = self.unreadable.iter().any(|gateway| gateway.on_ring);
        unreadable || !self.conflicts.is_empty() || !self.poisoned.is_empty()
    }
}

/// Who has a family, by type and index of the gateway: how many groups, and the labels of the first.
type Holders<'s> = BTreeMap<(&'s str, usize), (usize, &'s Labels)>;

fn conflicts(survey: &Survey) -> Vec<Conflict> {
    let mut families: BTreeMap<&str, Holders<'_>> = BTreeMap::new();
    for (on, reading) in survey.gateways.iter().enumerate() {
        for group in reading.known().map_or(&[][..], |contents| &contents.groups) {
            for (name, family) in &group.families {
                let holders = families.entry(name).or_default();
                holders.entry((&family.kind, on)).or_insert((0, &group.labels)).0 += 1;
            }
        }
    }
    // Sorted by type: there are several if the first and the last differ.
    families.retain(|_, holders| {
        let (first, last) = (holders.keys().next(), holders.keys().next_back());
        first.map(|key| key.0) != last.map(|key| key.0)
    });
    let holder = |((kind, on), (groups, example)): ((&str, usize), (usize, &Labels))| Holder {
        kind: kind.to_owned(),
        on: survey.gateways[on].gateway.name().to_owned(),
        groups,
        example: example.clone(),
    };
    let conflict = |(family, holders): (&str, Holders<'_>)| Conflict {
        family: family.to_owned(),
        holders: holders.into_iter().map(holder).collect(),
    };
    families.into_iter().map(conflict).collect()
}
