//! Checks that no push is lost when members change: changes of every kind, under load, through the whole chain of
//! shipped files: Consul and consul-template with the templates and `pushring publish`, or a registry and `pushring
//! discover`; Envoy, Pushgateways.
//!
//! A push counts as lost unless it was answered 2xx and is *found*:
//!
//! * Each Pushgateway writes its name into each answer (by a header in its web configuration, which Envoy forwards),
//!   so that every push names the gateway that answered it. This gateway must have owned the group under a ring that
//!   Envoy may have used between the request and the answer.
//! * Every few changes the load pauses until no push is in flight. Then each gateway must count at least the pushes
//!   that it answered (in its own `pushgateway_http_requests_total`), which excludes answers made up on the way. The
//!   last push of each group must be stored on the gateway that answered it, with its value or a later one.
//!
//! The run cannot show that a gateway kept a value that a later push replaced.
//!
//! "Live" is the time from the end of the call that changed the registry until the ring is active in Envoy, which the digest
//! at the filter's status path shows. With DNS it counts from the moment at which the server answers with the change; the
//! next question comes up to a TTL later, which is part of it. Changes during which a process was killed are counted
//! separately.

mod follower;
pub(crate) mod gateways;
mod ledger;
pub(crate) mod load;
mod plan;
mod registry;
pub mod replicas;
mod ring;
mod run;
mod servers;
mod summary;

pub use ledger::Loss;
pub use registry::Source;
pub use run::run;
pub use summary::{Settings, Summary};
