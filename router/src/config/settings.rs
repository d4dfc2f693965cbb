//! The settings that are a choice between a few.

use serde::Serialize;

/// What the key of a push is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteBy {
    /// All grouping labels: the group as the Pushgateway knows it.
    Group,
    /// The job alone: all groups of a job on one member.
    Job,
    /// The decoded path, as dynamic-sharding does.
    Path,
}

/// How members are laid on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Placement {
    /// pushring's own.
    Ring {
        /// Points per unit of weight, 1..=4096.
        points: u32,
    },
    /// That of ning1875/dynamic-sharding, byte for byte.
    DynamicSharding,
}

/// What the filter does with the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The destination header names a cluster.
    Cluster,
    /// The destination header lists addresses: the owner's, then its successors'.
    Endpoint,
    /// The client is sent to the owner by a 307.
    Redirect,
}
