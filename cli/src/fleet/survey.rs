//! What lies where: every gateway of a fleet read once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pushring_router::{Router, labels_to_path};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::fleet::source::Fleet;
use crate::gateway::api::{Group, Labels};
use crate::gateway::client::{Gateway, Status};
use crate::gateway::clock::Clock;
use crate::gateway::pool::Gateways;

/// All gateways of a fleet, read at about the same time.
#[derive(Debug)]
pub struct Survey<M = IgnoredAny> {
    /// The members in the order of the ring's indices, then those that are registered but not on the ring.
    pub gateways: Vec<Reading<M>>,
}

/// One gateway and what it answered.
#[derive(Debug)]
pub struct Reading<M = IgnoredAny> {
    /// Which.
    pub gateway: Gateway,
    /// Whether it is on the ring.
    pub on_ring: bool,
    /// What it holds, or why that cannot be told.
    pub contents: Result<Contents<M>, String>,
}

impl<M> Reading<M> {
    /// What it holds.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub fn known(&self) -> Result<&Contents<M>, &str> {
        self.contents.as_ref().map_err(String::as_str)
    }
}

impl<M> Contents<M> {
    /// The group with exactly these labels.
    #[must_use]
    pub fn find(&self, labels: &Labels) -> Option<&Group<M>> {
        let index = self.groups.binary_search_by(|group| group.labels.cmp(labels)).ok()?;
        self.groups.get(index)
    }
}

/// What one gateway holds.
#[derive(Debug)]
pub struct Contents<M = IgnoredAny> {
    /// Which process answered, and its clock.
    pub status: Status,
    /// How long the answer took.
    pub took: Duration,
    /// Its groups, sorted by labels.
    pub groups: Vec<Group<M>>,
}

impl<M: DeserializeOwned + Send> Survey<M> {
    /// Reads all gateways, each once. One that does not answer is told as such; two addresses of one process, whose
    /// groups would count twice, too.
    #[must_use]
    pub fn read(gateways: &Gateways, fleet: &Fleet) -> Self {
        let on_ring = fleet.router.config().members.iter().map(|member| (true, member));
        let all: Vec<_> = on_ring.chain(fleet.registered.iter().map(|member| (false, member))).collect();
        let mut survey = Self {
            gateways: gateways.each(&all, |(on_ring, member)| {
                let gateway = gateways.gateway(&member.name, &member.address);
                let contents = contents(&gateway).map_err(|error| format!("{error:#}"));
                Reading { gateway, on_ring: *on_ring, contents }
            }),
        };
        survey.doubt_twins();
        survey
    }

    /// Deleting at the one address would delete at the other.
    fn doubt_twins(&mut self) {
        let mut processes: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, reading) in self.gateways.iter().enumerate() {
            if let Ok(contents) = &reading.contents {
                processes.entry(contents.status.start_time.clone()).or_default().push(index);
            }
        }
        for twins in processes.into_values().filter(|twins| twins.len() > 1) {
            let names: Vec<_> =
                twins.iter().map(|&index| self.gateways[index].gateway.name().to_owned()).collect();
            for index in twins {
                let reason =
                    format!("{} are one process: they started at the same nanosecond", names.join(" and "));
                self.gateways[index].contents = Err(reason);
            }
        }
    }
}

fn contents<M: DeserializeOwned>(gateway: &Gateway) -> anyhow::Result<Contents<M>> {
    let began = Instant::now();
    let status = gateway.status()?;
    let mut groups: Vec<Group<M>> = gateway.groups_with()?;
    doubt_the_future(&mut groups, &status.clock);
    groups.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Contents { status, took: began.elapsed(), groups })
}

/// A clock that was ahead and set back since left time stamps that look newer than they are.
pub(crate) fn doubt_the_future<'g, M: 'g>(groups: impl IntoIterator<Item = &'g mut Group<M>>, clock: &Clock) {
    for group in groups {
        let families = group.families.values().map(|family| family.time_stamp);
        let stamps = families.chain(group.pushed.map(|push| push.time_stamp));
        if group.doubt.is_none() && stamps.into_iter().any(|stamp| clock.is_future(stamp)) {
            group.doubt =
                Some("it was pushed in the future of its gateway, whose clock was set back".to_owned());
        }
    }
}

/// A group's place: what its labels come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A push path of it, with the prefix.
    pub path: String,
    /// Index of its owner among the members.
    pub owner: usize,
}

/// Where a group belongs. `None` when its labels do not come back from the path that is written for them, as with a
/// name that needs `utf8_names`, when a gateway that runs with UTF-8 names though the settings do not say so would take
/// the path for another group's, or when there are no members.
#[must_use]
pub fn place(router: &Router, labels: &Labels) -> Option<Place> {
    let config = router.config();
    if !config.utf8_names && labels.keys().any(|name| name.starts_with("U__")) {
        return None;
    }
    let bytes = labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let path = labels_to_path(&config.path_prefix, config.utf8_names, bytes)?;
    let group = router.group(path.as_bytes())?;
    let same = group
        .labels
        .as_ref()?
        .iter()
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
        .eq(labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let owner = router.ring().owner(&group.key).filter(|_| same)?;
    Some(Place { path, owner })
}
