//! The clients for the gateways of the fleet as it is now.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::reading::Target;
use crate::fleet::source::Fleet;
use crate::gateway::pool::{GatewayArgs, Gateways};

/// How long clients and credentials are used before their files are read again.
const MAX_AGE: Duration = Duration::from_secs(30);

pub(super) struct Clients {
    args: GatewayArgs,
    last: Mutex<Last>,
}

struct Last {
    fleet: Arc<Fleet>,
    made: Instant,
    gateways: Arc<Gateways>,
}

impl Clients {
    /// Makes the clients, so that an unusable flag or file is an error at the start.
    ///
    /// # Errors
    /// As [`Gateways::new`].
    pub(super) fn new(args: GatewayArgs, fleet: Arc<Fleet>) -> anyhow::Result<Self> {
        let gateways = Arc::new(Gateways::new(&args, &fleet)?);
        Ok(Self { args, last: Mutex::new(Last { fleet, made: Instant::now(), gateways }) })
    }

    /// Returns the members in the order of the ring's indices, then the registered gateways that are not on the ring.
    pub(super) fn targets(&self, fleet: &Arc<Fleet>) -> Vec<Target> {
        let gateways = self.of(fleet);
        let on_ring = fleet.router.config().members.iter().map(|member| (true, member));
        let all = on_ring.chain(fleet.registered.iter().map(|member| (false, member)));
        all.map(|(on_ring, member)| Target {
            gateway: gateways.gateway(&member.name, &member.address),
            on_ring,
        })
        .collect()
    }

    /// Makes the clients of another fleet, and from time to time again, because passwords, certificates and CA certificates
    /// may have been replaced. If their files cannot be read now, the last ones stay.
    fn of(&self, fleet: &Arc<Fleet>) -> Arc<Gateways> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&last.fleet, fleet) || last.made.elapsed() > MAX_AGE {
            match Gateways::new(&self.args, fleet) {
                Ok(gateways) => last.gateways = Arc::new(gateways),
                Err(error) => warn!(error = format!("{error:#}"), "the last access to the gateways stays"),
            }
            (last.fleet, last.made) = (fleet.clone(), Instant::now());
        }
        last.gateways.clone()
    }
}
