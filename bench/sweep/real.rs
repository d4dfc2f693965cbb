//! Real Pushgateways, filled by pushes.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pushring_harness::Pushgateway;
use tempfile::TempDir;

use crate::fleet::{FAMILIES, Fleet, Gateways};

/// The sweep treats two pushes within this time as simultaneous.
const MARGIN: Duration = Duration::from_millis(2500);

/// Real Pushgateways; stopped when dropped.
pub(crate) struct Real {
    all: Vec<Pushgateway>,
    _dir: TempDir,
}

impl Real {
    pub(crate) fn start(count: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        // The consistency check compares every push with all groups and would take most of the time.
        let start = |_| Pushgateway::start(dir.path(), &["--push.disable-consistency-check"]);
        Ok(Self { all: (0..count).map(start).collect::<Result<_>>()?, _dir: dir })
    }

    fn push(&self, pushes: &[(&str, usize)]) -> Result<()> {
        let body: String = (0..FAMILIES).map(|number| format!("metric_number_{number} {number}\n")).collect();
        let push = |gateway: usize| -> Result<()> {
            let client = self.all[gateway].client()?;
            for (path, _) in pushes.iter().filter(|(_, on)| *on == gateway) {
                let answer = client.put(path, body.clone())?;
                ensure!(answer.status == 202, "{path}: {} {}", answer.status, answer.text());
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.all.len()).map(|gateway| scope.spawn(move || push(gateway))).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().ok().context("a thread that pushed panicked")?)
        })
    }
}

impl Gateways for Real {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.all.iter().map(|gateway| gateway.address).collect()
    }

    fn fill(&self, fleet: &Fleet) -> Result<()> {
        let former = fleet.groups.iter().filter_map(|(path, _, former)| Some((path.as_str(), (*former)?)));
        let former: Vec<_> = former.collect();
        self.push(&former)?;
        if !former.is_empty() {
            thread::sleep(MARGIN);
        }
        let owners: Vec<_> = fleet.groups.iter().map(|(path, owner, _)| (path.as_str(), *owner)).collect();
        self.push(&owners)
    }
}
