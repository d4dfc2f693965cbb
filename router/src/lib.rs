//! Turns a configuration into a [`Router`], and a push request into a [`Decision`].
//!
//! The crate is pure: no I/O, no clock, no randomness, no logging. Everything that can fail does so in
//! [`Router::parse`]; [`Router::decide`] answers every request, whatever its bytes. The filter and the command share
//! this crate, so the command prints the owner that Envoy uses.
//!
//! * `config`: the settings and members that a configuration may contain
//! * `push`: the labels of a push path and the key of their group
//! * `router`, `decide`, `reply`: the router, its decisions, and the replies that need no Pushgateway
//! * `filter`, `counter`: the filter without its host
//! * `cdn_loop`: the mark of a push that was routed already
//!
//! ```
//! use pushring_router::{Decision, Request, Router};
//!
//! let router = Router::parse(br#"{"members": ["10.0.0.1:9091", "10.0.0.2:9091"]}"#)?;
//! let request = Request { method: b"PUT", path: b"/metrics/job/backup/instance/db1", accept: None };
//! match router.decide(request) {
//!     Decision::Route(route) => assert!(route.destination.as_bytes().starts_with(b"pushgateway-10.0.0.")),
//!     _ => unreachable!("a push is routed"),
//! }
//! # Ok::<(), pushring_router::ConfigError>(())
//! ```

// A panic in the filter ends the VM of an Envoy worker.
#![deny(clippy::indexing_slicing)]

mod cdn_loop;
mod config;
mod counter;
mod decide;
mod filter;
mod push;
mod reply;
mod router;

pub use cdn_loop::passed_pushring;
pub use config::{
    Config, ConfigError, Lookup, MAX_MEMBERS, Member, Mirror, Mode, Placement, RouteBy, canonical_address,
};
pub use counter::{Counter, MEMBERS_GAUGE, POINTS_GAUGE};
pub use decide::{Decision, Destination, Request, Route};
pub use filter::{Exchange, Filter, Verdict};
pub use push::{ParsedGroup, clean_path, is_legacy_name, labels_to_path};
pub use reply::{Reply, ReplyKind};
pub use router::{PushOwner, Router};
