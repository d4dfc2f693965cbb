//! The file of clusters or endpoints: which names it has, and how the old and the new one merge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::document::Document;
use super::upstream_kind::UpstreamKind;
use crate::fleet::members::Members;
use crate::fleet::render::{self, Endpoint};
use crate::parse;

impl UpstreamKind {
    /// `live` is the live folder as Envoy finds it.
    pub(super) fn render(self, members: &Members, live: &Path) -> String {
        match self {
            Self::Cluster => {
                let access = members.access.clone().unwrap_or_default();
                render::clusters(&members.clusters, &access, live)
            }
            Self::Endpoint => render::endpoints(&members.endpoints),
        }
    }

    /// Returns the names of what [`UpstreamKind::render`] renders, as a ring has them.
    pub(super) fn names(self, members: &Members) -> BTreeSet<String> {
        match self {
            Self::Cluster => members.clusters.iter().map(|cluster| cluster.name.clone()).collect(),
            Self::Endpoint => members.endpoints.iter().map(Endpoint::address).collect(),
        }
    }
}

/// A cluster file (CDS), or an endpoint file (EDS) with one list. The fields of an item are passed on as they are.
#[derive(Clone, Debug)]
pub(super) struct Upstreams {
    document: Document,
    /// The name of each item.
    names: Vec<String>,
}

impl Upstreams {
    /// Parses a file; one without any resource has an empty list.
    pub(super) fn parse(kind: UpstreamKind, text: &str) -> anyhow::Result<Self> {
        let document = Document::parse(text, kind.list_at()).map_err(anyhow::Error::msg)?;
        let empty = document.around()["resources"].as_array().is_some_and(Vec::is_empty);
        let at = format!("/{}", kind.list_at().join("/"));
        let list = document.around().pointer(&at);
        ensure!(empty || list.is_some_and(Value::is_array), "found no list at {at}");
        let mut names = Vec::new();
        for (index, item) in document.items.iter().enumerate() {
            let name = kind.name_of(&parse::json(item).map_err(anyhow::Error::msg)?);
            names.push(name.with_context(|| format!("{at}/{index}: found no name or address"))?);
        }
        Ok(Self { document, names })
    }

    pub(super) fn empty(kind: UpstreamKind) -> Self {
        Self { document: Document::empty(kind.list_at()), names: Vec::new() }
    }

    pub(super) fn names_not_in(&self, others: &Self) -> Vec<String> {
        let others: BTreeSet<&str> = others.names.iter().map(String::as_str).collect();
        self.names.iter().filter(|name| !others.contains(name.as_str())).cloned().collect()
    }

    /// Appends the items of `other` that `kept` names.
    pub(super) fn with(mut self, other: &Self, kept: &[String]) -> Self {
        for (name, item) in other.by_name().into_iter().filter(|(name, _)| kept.iter().any(|k| k == name)) {
            self.document.items.push(item.to_owned());
            self.names.push(name.to_owned());
        }
        let version = render::version(self.document.items.iter().map(String::as_str));
        self.document.set("version_info", version.into());
        self
    }

    /// Reports whether Envoy would see no difference.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.document.around() == other.document.around() && self.by_name() == other.by_name()
    }

    pub(super) fn to_text(&self) -> anyhow::Result<String> {
        self.document.to_text()
    }

    fn by_name(&self) -> BTreeMap<&str, &str> {
        self.names
            .iter()
            .zip(&self.document.items)
            .map(|(name, item)| (name.as_str(), item.as_str()))
            .collect()
    }
}
