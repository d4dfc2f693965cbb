//! The files in Envoy's `live` folder, rendered from a filter configuration: the shipped examples with other members in
//! them, so that what ships is what is tested.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tools;

/// How Envoy gets a push to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// One cluster per member.
    Cluster,
    /// One cluster, the addresses in a header.
    Endpoint,
    /// 307 to the owner.
    Redirect,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Endpoint, Self::Redirect];
    /// Those in which the push goes through Envoy.
    pub const ROUTED: [Self; 2] = [Self::Cluster, Self::Endpoint];

    /// The live file beside `ring.yaml`, if there is one.
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

/// One pushgateway as the filter's configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its identity on the ring.
    pub name: String,
    /// Its ip:port.
    pub address: String,
    /// Its share relative to others.
    pub weight: u32,
}

impl From<SocketAddr> for Member {
    fn from(address: SocketAddr) -> Self {
        Self { name: address.to_string(), address: address.to_string(), weight: 1 }
    }
}

/// The shipped configuration of the filter with these members. Change further fields as in any JSON:
/// `config["route_by"] = "job".into()`.
///
/// # Errors
/// When the shipped example is not as expected.
pub fn config(mode: Mode, members: &[Member]) -> Result<Value> {
    let (_, json) = shipped_ring(mode)?;
    let mut config: Value = serde_json::from_str(&json).context("the JSON of the shipped ring.yaml")?;
    config["members"] = serde_json::to_value(members)?;
    Ok(config)
}

/// The shipped `ring.yaml` with `json` (which may be anything, to test bad ones) as the filter's configuration.
///
/// # Errors
/// When the shipped example is not as expected.
pub fn ring(mode: Mode, json: &str) -> Result<String> {
    let (mut file, _) = shipped_ring(mode)?;
    for line in json.lines() {
        writeln!(file, "          {line}")?;
    }
    Ok(file)
}

/// `clusters.yaml` or `endpoints.yaml` for these members; none in redirect mode.
///
/// # Errors
/// When an address is not ip:port.
pub fn upstreams(mode: Mode, members: &[Member]) -> Result<Option<String>> {
    match mode {
        Mode::Cluster => clusters(members).map(Some),
        Mode::Endpoint => endpoints(members).map(Some),
        Mode::Redirect => Ok(None),
    }
}

/// The members that a configuration lists, in either form; nothing for a text that is no configuration.
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

/// The text of the shipped file up to the JSON, and the JSON.
fn shipped_ring(mode: Mode) -> Result<(String, String)> {
    let text = shipped(mode, "ring.yaml")?;
    let (head, json) = text.split_once("value: |\n").context("no `value: |` in the shipped ring.yaml")?;
    Ok((format!("{head}value: |\n"), json.to_owned()))
}

/// The shipped file up to the first member, that member's part once for each of `members`, in the order of names.
fn clusters(members: &[Member]) -> Result<String> {
    let text = shipped(Mode::Cluster, "clusters.yaml")?;
    let mut parts = text.split("- \"@type\"");
    let mut file = parts.next().context("an empty clusters.yaml")?.to_owned();
    let part = parts.next().context("no cluster in clusters.yaml")?;
    let by_name: BTreeMap<&str, &Member> =
        members.iter().map(|member| (member.name.as_str(), member)).collect();
    for member in by_name.values() {
        let address: SocketAddr = member.address.parse().with_context(|| member.address.clone())?;
        let part = part.replace("pushgateway-127.0.0.1:19091", &format!("pushgateway-{}", member.name));
        write!(file, "- \"@type\"{}", at(&part, address))?;
    }
    Ok(if by_name.is_empty() { format!("{} []\n", file.trim_end()) } else { file })
}

fn endpoints(members: &[Member]) -> Result<String> {
    let text = shipped(Mode::Endpoint, "endpoints.yaml")?;
    let (head, lines) = text.split_once("lb_endpoints:\n").context("no `lb_endpoints` in endpoints.yaml")?;
    let line = lines.lines().next().context("no endpoint in endpoints.yaml")?;
    let mut file = format!("{head}lb_endpoints:{}\n", if members.is_empty() { " []" } else { "" });
    for member in members {
        let address: SocketAddr = member.address.parse().with_context(|| member.address.clone())?;
        writeln!(file, "{}", at(line, address))?;
    }
    Ok(file)
}

/// Puts `address` where a shipped example has that of its first member.
fn at(text: &str, address: SocketAddr) -> String {
    let socket = format!("address: \"{}\", port_value: {} ", address.ip(), address.port());
    text.replace("address: 127.0.0.1, port_value: 19091 ", &socket)
}

fn shipped(mode: Mode, file: &str) -> Result<String> {
    let path = tools::repository().join(format!("envoy/live/{mode}/{file}"));
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}
