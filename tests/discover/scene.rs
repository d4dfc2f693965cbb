//! Real gateways behind an Envoy whose live folder `discover` writes.

use pushring_harness::{Mode, Pushgateway, Witness, poll_until};
use tempfile::TempDir;

use crate::running::Discover;

/// Gateways that always run; only their registrations change.
pub(crate) struct Gateways {
    pub(crate) all: Vec<Pushgateway>,
    /// Their addresses.
    pub(crate) names: Vec<String>,
    pub(crate) dir: TempDir,
}

impl Gateways {
    pub(crate) fn start(count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::of((0..count).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect(), dir)
    }

    pub(crate) fn of(all: Vec<Pushgateway>, dir: TempDir) -> Self {
        let names = all.iter().map(|gateway| gateway.address.to_string()).collect();
        Self { all, names, dir }
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// Starts Envoy and `discover`, and waits for all gateways in both.
    pub(crate) fn follow(&self, mode: Mode, source: &[&str]) -> Discover {
        let discover = Discover::with_envoy(mode, source);
        self.wait(&discover, &self.names());
        discover
    }

    /// Waits until Envoy has exactly these members.
    pub(crate) fn wait(&self, discover: &Discover, names: &[&str]) {
        let envoy = discover.envoy.as_ref().unwrap();
        envoy.wait_members(names).unwrap_or_else(|error| panic!("{error:#}\n{}", discover.process.log()));
    }
}

/// Starts to watch the ring and to push.
pub(crate) fn watch(discover: &Discover) -> Witness {
    Witness::start(discover.envoy.as_ref().unwrap(), &discover.layout.live())
}

/// Ends the watch, and fails if a ring had fewer members than `least`.
#[track_caller]
pub(crate) fn end(witness: Witness, least: usize) {
    let rings = witness.end();
    assert!(rings.iter().all(|ring| ring.len() >= least), "{rings:?}");
}

/// Waits until the last ring is held, and checks that everybody can see it: metrics, log, and a run with `--once`.
pub(crate) fn wait_held(discover: &mut Discover) {
    discover.wait_metric("pushring_discover_held", 1.0);
    discover.wait_metric("pushring_discover_source_up", 1.0);
    discover.wait_log("held", 1);
    let held = "pushring_discover_published_total{result=\"held\"}";
    poll_until("a held publication", || discover.metric(held).filter(|count| *count > 0.0)).unwrap();
    discover.stop();
    let (code, error) = discover.once();
    assert!(code == Some(2) && error.contains("the last ring stays"), "{code:?}: {error}");
    discover.restart();
    discover.wait_metric("pushring_discover_held", 1.0);
}

/// Waits until nothing is held, and no member is missing.
pub(crate) fn wait_healed(discover: &mut Discover, members: usize) {
    discover.wait_metric("pushring_discover_held", 0.0);
    discover.wait_metric("pushring_discover_on_ring", members as f64);
    discover.wait_metric("pushring_discover_registered", members as f64);
    discover.wait_metric("pushring_discover_source_up", 1.0);
}
