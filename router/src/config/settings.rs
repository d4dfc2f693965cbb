//! Settings with a fixed list of values.

use serde::Serialize;

/// The part of a push that determines its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteBy {
    /// All grouping labels, so that each group of the Pushgateway has one owner.
    Group,
    /// The job, so that all groups of a job have one owner.
    Job,
    /// The decoded path, as dynamic-sharding uses it.
    Path,
}

/// How members are placed on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Placement {
    /// pushring's own placement.
    Ring {
        /// Points per unit of weight, 1..=4096.
        points: u32,
    },
    /// The placement of ning1875/dynamic-sharding, byte for byte.
    DynamicSharding,
}

/// How a push reaches its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The destination header names a cluster.
    Cluster,
    /// The destination header lists the addresses of the owner and its successors.
    Endpoint,
    /// The filter answers 307 with the address of the owner.
    Redirect,
}

/// When GET and HEAD on a push path return the owner. Otherwise they get 405, as from a Pushgateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// If the request accepts JSON and nothing else. A push that a redirect turned into a GET does not, so it fails.
    Asked,
    /// Always, as dynamic-sharding does.
    Always,
    /// Never.
    Off,
}

/// The pushes that Envoy also sends to the first successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mirror {
    /// None.
    None,
    /// DELETE, because the first successor owned the group before the last member joined.
    Deletes,
    /// PUT, POST and DELETE: each group has a replica.
    All,
}
