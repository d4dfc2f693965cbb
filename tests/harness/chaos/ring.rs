//! The ring that Envoy should have, computed without Envoy.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use pushring_router::{Config, Router};

use super::load::{self, GROUPS};
use super::plan::State;
use super::servers::Servers;
use crate::{Member, Mode, envoy_files};

/// The ring of the passing gateways, as the filter should build it.
pub(super) struct Ring {
    pub(super) digest: String,
    /// The gateway that owns each group.
    pub(super) owners: Vec<usize>,
}

impl Ring {
    pub(super) fn of(mode: Mode, servers: &Servers, states: &[State]) -> Result<Self> {
        let passing = (0..states.len()).filter(|gateway| states[*gateway] == State::Passing);
        let names: BTreeMap<String, usize> =
            passing.map(|gateway| (servers.member(gateway), gateway)).collect();
        let address = |gateway: usize| servers.gateways.address(gateway).to_string();
        let members: Vec<Member> = names
            .iter()
            .map(|(name, gateway)| Member { name: name.clone(), address: address(*gateway), weight: 1 })
            .collect();
        let router =
            Router::new(Config::parse(envoy_files::config(mode, &members)?.to_string().as_bytes())?)?;
        let owner = |group| {
            let key = router.group(load::path(group).as_bytes()).context("not a push path")?.key;
            let owner = router.owner(&key).context("no members")?;
            names.get(&owner.name).copied().context("an unknown owner")
        };
        Ok(Self { digest: router.digest(), owners: (0..GROUPS).map(owner).collect::<Result<_>>()? })
    }
}
