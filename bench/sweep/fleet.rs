//! The groups of a fleet and their owners before and after a change.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use pushring_router::Router;
use serde_json::{Value, json};

/// Number of groups on all gateways.
pub(crate) const GROUPS: usize = 20_000;
/// Metric families of each group.
pub(crate) const FAMILIES: usize = 5;

/// The change before the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// The last member has joined.
    Joined,
    /// The number of points changed, so nearly half of the groups have another owner.
    Points,
}

impl Change {
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::Joined, Self::Points];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Joined => "one joined",
            Self::Points => "other points",
        }
    }
}

/// Gateways that can be filled with groups.
pub(crate) trait Gateways {
    fn addresses(&self) -> Vec<SocketAddr>;
    fn fill(&self, fleet: &Fleet) -> Result<()>;
}

/// A fleet after the change, with stale copies on the former owners.
pub(crate) struct Fleet {
    /// The filter's configuration.
    pub(crate) config: Value,
    /// Push path, owner, and the former owner if it is a different gateway.
    pub(crate) groups: Vec<(String, usize, Option<usize>)>,
}

impl Fleet {
    pub(crate) fn new(addresses: &[SocketAddr], change: Change) -> Result<Self> {
        let members: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let config = json!({"members": members});
        let mut before = config.clone();
        match change {
            Change::None => {}
            Change::Joined => before["members"] = members[..members.len() - 1].into(),
            Change::Points => before["placement"] = json!({"type": "ring", "points": 512}),
        }
        let (before, after) = (router(&before)?, router(&config)?);
        let owner = |router: &Router, path: &str| {
            let key =
                router.group(path.as_bytes()).with_context(|| format!("{path} is not a push path"))?.key;
            let name = &router.owner(&key).context("no owner")?.name;
            members
                .iter()
                .position(|member| member == name)
                .with_context(|| format!("{name} is not a member"))
        };
        let group = |number: usize| {
            let path = format!("/metrics/job/job{}/instance/host{number}.example.org", number % 500);
            let (former, owner) = (owner(&before, &path)?, owner(&after, &path)?);
            Ok((path, owner, (former != owner).then_some(former)))
        };
        Ok(Self { config, groups: (0..GROUPS).map(group).collect::<Result<_>>()? })
    }

    /// Returns the number of stale copies.
    pub(crate) fn moved(&self) -> usize {
        self.groups.iter().filter(|(_, _, former)| former.is_some()).count()
    }
}

fn router(config: &Value) -> Result<Router> {
    Ok(Router::parse(config.to_string().as_bytes())?)
}
