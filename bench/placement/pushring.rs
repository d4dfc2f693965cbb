//! pushring: the router, and the filter in a real Envoy with the shipped configuration.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use pushring_harness::{Envoy, Layout, Mode, Ports, envoy_files, poll_until};
use pushring_router::Router;
use serde_json::{Value, json};

use crate::changes::Member;
use crate::probe;

/// Returns the settings for the placement of dynamic-sharding.
pub(crate) fn dynamic_sharding() -> Value {
    json!({ "placement": { "type": "dynamic-sharding" }, "route_by": "path" })
}

/// Returns the router for these members and further settings.
pub(crate) fn router(settings: &Value, members: &[Member], names: &[&str]) -> Result<Router> {
    let mut config = settings.clone();
    config["members"] =
        members.iter().map(|member| json!({ "name": names[member.id], "weight": member.weight })).collect();
    Ok(Router::parse(config.to_string().as_bytes())?)
}

/// Returns the id of the owner of each path. The router may sort its members.
pub(crate) fn owners(router: &Router, names: &[&str], paths: &[String]) -> Result<Vec<usize>> {
    let ids: HashMap<&str, usize> = names.iter().copied().zip(0..).collect();
    let owner = |path: &String| ids.get(router.owner_of(path.as_bytes())?.owner?.name.as_str()).copied();
    paths.iter().map(|path| owner(path).with_context(|| format!("{path} has no owner"))).collect()
}

/// An Envoy with the filter in endpoint mode; killed when dropped.
pub(crate) struct Filter {
    envoy: Envoy,
    layout: Layout,
    addresses: Vec<SocketAddr>,
}

impl Filter {
    /// Starts it in the folder `dir` without members; `addresses` are the addresses of the members by number.
    pub(crate) fn start(dir: &Path, addresses: &[SocketAddr]) -> Result<Self> {
        let layout = Layout::create(dir, Mode::Endpoint, Ports::default())?;
        let mut config = envoy_files::config(Mode::Endpoint, &[])?;
        config["min_members"] = 0.into();
        layout.write(&config)?;
        let envoy = Envoy::start(&layout, 1)?;
        Ok(Self { envoy, layout, addresses: addresses.to_vec() })
    }

    /// Sets the members and returns the owner of each path.
    pub(crate) fn owners(&self, members: &[Member], names: &[&str], paths: &[String]) -> Result<Vec<usize>> {
        let as_live = |member: &Member| envoy_files::Member {
            name: names[member.id].to_owned(),
            address: self.addresses[member.id].to_string(),
            weight: member.weight,
        };
        let members: Vec<_> = members.iter().map(as_live).collect();
        let config = envoy_files::config(Mode::Endpoint, &members)?;
        self.layout.write(&config)?;
        let wanted: BTreeSet<&str> = members.iter().map(|member| member.address.as_str()).collect();
        // Each cluster reads the endpoint file separately; only the one for pushes counts.
        poll_until("Envoy to have the members", || {
            let clusters = self.envoy.admin("/clusters").ok()?;
            let address = |line| str::strip_prefix(line, "pushgateway::")?.split_once("::rq_total::");
            let found = clusters.lines().filter_map(address).map(|(address, _)| address);
            (found.collect::<BTreeSet<_>>() == wanted).then_some(())
        })?;
        let digest = Router::parse(config.to_string().as_bytes())?.digest();
        poll_until("the filter to have the members", || {
            (self.envoy.status().ok()?["digest"] == digest.as_str()).then_some(())
        })?;
        probe::members(self.envoy.push, paths, "x-from: bench")
    }
}
