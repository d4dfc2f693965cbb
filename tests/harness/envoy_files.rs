//! Files in Envoy's `live` folder for a configuration of the filter, rendered by the command's library.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use pushring::fleet::access::{Access, Scheme};
use pushring::fleet::render::{self, Cluster, Endpoint};
use pushring::fleet::ring_file::filter_json;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tools;

/// How Envoy routes a push to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// One cluster per member.
    Cluster,
    /// One cluster; a header lists the addresses.
    Endpoint,
    /// An answer 307 with the owner's address.
    Redirect,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Endpoint, Self::Redirect];
    /// The modes in which Envoy forwards the push.
    pub const ROUTED: [Self; 2] = [Self::Cluster, Self::Endpoint];

    /// Parses a mode in which Envoy forwards the pushes.
    ///
    /// # Errors
    /// Names the modes that are allowed.
    pub fn routed(text: &str) -> Result<Self, String> {
        let known = Self::ROUTED.into_iter().find(|mode| mode.to_string() == text);
        known.ok_or_else(|| "allowed: cluster, endpoint".to_owned())
    }

    /// Returns the name of the live file next to `ring.yaml`; `None` in redirect mode.
    #[must_use]
    pub fn upstream_file(self) -> Option<&'static str> {
        match self {
            Self::Cluster => Some("clusters.yaml"),
            Self::Endpoint => Some("endpoints.yaml"),
            Self::Redirect => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
            Self::Redirect => "redirect",
        })
    }
}

/// A member in the filter's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its identity on the ring.
    pub name: String,
    /// Its ip:port.
    pub address: String,
    /// Its share relative to the other members.
    pub weight: u32,
}

impl From<SocketAddr> for Member {
    fn from(address: SocketAddr) -> Self {
        Self { name: address.to_string(), address: address.to_string(), weight: 1 }
    }
}

/// Returns the shipped configuration of the filter with these members. Change further fields as in any JSON:
/// `config["route_by"] = "job".into()`.
///
/// # Errors
/// The shipped example cannot be read.
pub fn config(mode: Mode, members: &[Member]) -> Result<Value> {
    let path = tools::repository().join(format!("envoy/live/{mode}/ring.yaml"));
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut config: Value = serde_json::from_str(&filter_json(&text)?)?;
    config["members"] = serde_json::to_value(members)?;
    Ok(config)
}

/// Renders `clusters.yaml` or `endpoints.yaml` for these members; none in redirect mode.
///
/// # Errors
/// An address is not ip:port.
pub fn upstreams(mode: Mode, members: &[Member]) -> Result<Option<String>> {
    let cluster = |member: &Member| {
        let address: SocketAddr = member.address.parse().with_context(|| member.address.clone())?;
        let endpoint =
            Endpoint { host: address.ip().to_string(), port: address.port(), scheme: Scheme::Http };
        Ok(Cluster { name: format!("pushgateway-{}", member.name), endpoint })
    };
    let clusters: Vec<Cluster> = members.iter().map(cluster).collect::<Result<_>>()?;
    Ok(match mode {
        Mode::Cluster => Some(render::clusters(&clusters, &Access::default(), Path::new(""))),
        Mode::Endpoint => {
            let endpoints: Vec<_> = clusters.into_iter().map(|cluster| cluster.endpoint).collect();
            Some(render::endpoints(&endpoints))
        }
        Mode::Redirect => None,
    })
}

/// Returns the members of a configuration; none if the text is not a configuration.
#[must_use]
pub fn members(config: &str) -> Vec<Member> {
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let members = config["members"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let member = |value: &Value| {
        let name = text(value).or_else(|| text(&value["name"]))?;
        let address = text(&value["address"]).unwrap_or_else(|| name.clone());
        Some(Member { name, address, weight: 1 })
    };
    members.iter().filter_map(member).collect()
}
