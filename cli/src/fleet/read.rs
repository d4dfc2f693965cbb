//! Reads every gateway of a fleet once.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::fleet::source::Fleet;
use crate::fleet::survey::{GatewaySurvey, Groups, Survey};
use crate::gateway::api::StoredGroup;
use crate::gateway::client::Gateway;
use crate::gateway::pool::Gateways;
use crate::gateway::push_times::reject_future_timestamps;

impl<M: DeserializeOwned + Send + Sync> Survey<M> {
    /// Reads all gateways, each once. A gateway that does not answer is unreadable, and so are two
    /// addresses of one process, whose groups would count twice.
    pub(crate) fn read(gateways: &Gateways, fleet: &Fleet) -> Self {
        let on_ring = fleet.router.config().members.iter().map(|member| (true, member));
        let all: Vec<_> = on_ring.chain(fleet.registered.iter().map(|member| (false, member))).collect();
        let mut survey = Self {
            gateways: gateways.each(&all, |(on_ring, member)| {
                let gateway = gateways.gateway(&member.name, &member.address);
                let groups = groups(&gateway).map_err(|error| format!("{error:#}"));
                GatewaySurvey { gateway, on_ring: *on_ring, groups }
            }),
        };
        survey.reject_shared_processes();
        survey
    }

    /// Reads gateways again, by their index.
    pub(crate) fn read_again(&mut self, gateways: &Gateways, again: &BTreeSet<usize>) {
        let again: Vec<usize> = again.iter().copied().collect();
        let read = gateways.each(&again, |&index| {
            groups(&self.gateways[index].gateway).map_err(|error| format!("{error:#}"))
        });
        for (index, groups) in again.into_iter().zip(read) {
            self.gateways[index].groups = groups;
        }
        self.reject_shared_processes();
    }

    /// Rejects gateways with two addresses: a deletion at one address would delete the owner's group, too.
    fn reject_shared_processes(&mut self) {
        let mut processes: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, surveyed) in self.gateways.iter().enumerate() {
            if let Ok(groups) = &surveyed.groups {
                processes.entry(groups.status.start_time.clone()).or_default().push(index);
            }
        }
        for twins in processes.into_values().filter(|twins| twins.len() > 1) {
            let names: Vec<_> =
                twins.iter().map(|&index| self.gateways[index].gateway.name().to_owned()).collect();
            for index in twins {
                let reason =
                    format!("{} are one process: they started at the same nanosecond", names.join(" and "));
                self.gateways[index].groups = Err(reason);
            }
        }
    }
}

fn groups<M: DeserializeOwned>(gateway: &Gateway) -> anyhow::Result<Groups<M>> {
    let (began, start) = (Timestamp::now(), Instant::now());
    let status = gateway.status()?;
    let mut all: Vec<StoredGroup<M>> = gateway.groups_with()?;
    reject_future_timestamps(&mut all, &status.clock);
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Groups { status, began, took: start.elapsed(), all })
}
