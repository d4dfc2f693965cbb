//! Judges the honest pushes: see the definitions at [`super`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pushring_router::Router;

use super::gateways::{Content, Gateways, Outage};
use crate::Mode;
use crate::chaos::gateways::{index, name};
use crate::chaos::load::{self, GROUPS, Push};

/// How long a gateway may take to show what it has answered, to start again, or to lose its poison.
const STORED: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// Counts of honest pushes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) answered: u64,
    /// Refused in an outage.
    pub(super) dead: u64,
    /// Refused while Envoy shed load.
    pub(super) shed: u64,
    pub(super) lost: u64,
    pub(super) refused: u64,
    pub(super) misplaced: u64,
}

/// The last answered push of a group.
#[derive(Debug)]
struct Last {
    value: u64,
    gateway: usize,
    sent: Instant,
}

#[derive(Debug)]
pub(super) struct Ledger {
    mode: Mode,
    router: Router,
    owners: Vec<usize>,
    last: BTreeMap<usize, Last>,
    pub(super) counts: Counts,
    pub(super) violations: Vec<String>,
}

impl Ledger {
    pub(super) fn new(mode: Mode, router: Router, gateways: &Gateways) -> Result<Self> {
        let mut ledger = Self {
            mode,
            router,
            owners: Vec::new(),
            last: BTreeMap::new(),
            counts: Counts::default(),
            violations: Vec::new(),
        };
        let owner = |group| ledger.owner(&load::path(group), gateways).context("no owner");
        ledger.owners = (0..GROUPS).map(owner).collect::<Result<_>>()?;
        Ok(ledger)
    }

    fn owner(&self, path: &str, gateways: &Gateways) -> Option<usize> {
        let owner = self.router.owner_of(path.as_bytes())?.owner?;
        gateways.addresses.iter().position(|address| address.to_string() == owner.address)
    }

    /// Checks all pushes since the last time; no push is in flight. `shedding` says whether Envoy has shed load since then.
    pub(super) fn judge(&mut self, pushes: &[Push], gateways: &Gateways, shedding: bool) -> Result<()> {
        for push in pushes {
            if let Some(gateway) = push.outcome.as_ref().ok().and_then(|name| index(name)) {
                self.last.insert(push.group, Last { value: push.value, gateway, sent: push.sent });
            }
        }
        let start = Instant::now();
        loop {
            let contents = gateways.contents();
            let outages = gateways.outages();
            // A gateway that has ended since is empty.
            self.last.retain(|_, last| {
                !outages.iter().any(|outage| {
                    outage.gateway == last.gateway && outage.until.is_none_or(|until| until >= last.sent)
                })
            });
            match contents {
                Ok(contents) if self.missing(&contents).is_empty() || start.elapsed() > STORED => {
                    for what in self.missing(&contents) {
                        self.counts.lost += 1;
                        self.violations.push(format!("lost: {what}"));
                    }
                    self.last.clear();
                    // Only now: a gateway that was about to end when a push failed has ended, or it would not answer.
                    for push in pushes {
                        match &push.outcome {
                            Ok(answered_by) => self.place(push, answered_by, &outages),
                            Err(reason) => self.refuse(push, reason, &outages, shedding),
                        }
                    }
                    self.find_copies(&contents, gateways, &outages);
                    return Ok(());
                }
                Err(error) if start.elapsed() > STORED => return Err(error),
                _ => std::thread::sleep(PAUSE),
            }
        }
    }

    fn place(&mut self, push: &Push, answered_by: &str, outages: &[Outage]) {
        self.counts.answered += 1;
        let Some(gateway) = index(answered_by) else {
            self.counts.misplaced += 1;
            return self.violations.push(format!("answered by {answered_by:?}, which is no gateway"));
        };
        let owner = self.owners[push.group];
        let out = |outage: &Outage| outage.gateway == owner && outage.overlaps(push.sent, push.done);
        if gateway != owner && (self.mode == Mode::Cluster || !outages.iter().any(out)) {
            self.counts.misplaced += 1;
            let (by, owner) = (name(gateway), name(owner));
            self.violations.push(format!("misplaced: group {} of {owner} answered by {by}", push.group));
        }
    }

    fn refuse(&mut self, push: &Push, reason: &str, outages: &[Outage], shedding: bool) {
        let out = |gateway: usize| {
            outages.iter().any(|outage| outage.gateway == gateway && outage.overlaps(push.sent, push.done))
        };
        let dead = match self.mode {
            Mode::Cluster => out(self.owners[push.group]),
            _ => self.owners.iter().all(|owner| out(*owner)),
        };
        // Envoy sheds by 503 with one of these texts, or by closing an accepted connection.
        let answered = reason.starts_with(|first: char| first.is_ascii_digit());
        let dropped = reason.contains("overload") || reason.contains("too little memory");
        if dropped || (shedding && !answered) {
            self.counts.shed += 1;
        } else if dead && reason.starts_with("503") {
            self.counts.dead += 1;
        } else {
            self.counts.refused += 1;
            self.violations.push(format!("refused: group {}: {reason}", push.group));
        }
    }

    fn missing(&self, contents: &[Content]) -> Vec<String> {
        let stored = |group: &usize, last: &Last| {
            contents[last.gateway].values.get(group).is_some_and(|value| *value >= last.value)
        };
        let lost = self.last.iter().filter(|(group, last)| !stored(group, last));
        lost.map(|(group, last)| format!("push {} of group {group} on {}", last.value, name(last.gateway)))
            .collect()
    }

    /// Finds groups on gateways that neither own them nor got them in an outage of the owner.
    fn find_copies(&mut self, contents: &[Content], gateways: &Gateways, outages: &[Outage]) {
        for (gateway, content) in contents.iter().enumerate() {
            let honest = content.values.keys().map(|group| (load::path(*group), self.owners[*group]));
            let hostile = content.jobs.iter().filter_map(|job| {
                let path = format!("/metrics/job/{job}");
                Some((path.clone(), self.owner(&path, gateways)?))
            });
            let strays: Vec<String> = honest
                .chain(hostile)
                .filter(|(_, owner)| {
                    let out = outages.iter().any(|outage| outage.gateway == *owner);
                    *owner != gateway && (self.mode == Mode::Cluster || !out)
                })
                .map(|(path, owner)| format!("misplaced: {path} of {} on {}", name(owner), name(gateway)))
                .collect();
            self.counts.misplaced += strays.len() as u64;
            self.violations.extend(strays);
        }
    }
}
