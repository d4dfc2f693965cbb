//! No push is lost when members change: a run of changes of every kind, under load, through the whole chain of shipped
//! files (Consul, consul-template with the templates, `pushring publish`, Envoy, Pushgateways).
//!
//! A push counts as lost unless it was answered 2xx and is *found*:
//!
//! * Each Pushgateway writes its name into each answer (a header of its own web configuration; Envoy passes it on), so
//!   every single push tells which gateway answered it. It must be one that owned the group under a ring that Envoy may
//!   have had between sending and answer: from before Consul was told of it until a later one was seen in Envoy.
//! * Every few changes the load holds its breath, so that nothing is under way. Then each gateway must count (in its own
//!   `pushgateway_http_requests_total`) at least the pushes that were answered in its name: no answer was made up on the
//!   way. And the last push of each group must be in the gateway that answered it, with its value or a later one.
//!
//! What this cannot show: that the gateway did not forget a value that a later push replaced anyway.
//!
//! "Live" is the time from the end of the call that changed Consul to the ring in Envoy, told by the digest at its status
//! path. A change during which something was killed is waited for too, but counted apart.

mod gateways;
mod ledger;
mod load;
mod plan;
mod ring;
mod run;
mod servers;
mod summary;

pub use ledger::Loss;
pub use run::run;
pub use summary::{Settings, Summary};
