//! From a configuration to a [`Router`]; from a push request to a [`Decision`].
//!
//! Pure: no I/O, no clock, no randomness, no logging. Everything that can fail does so in
//! [`Config::parse`]; [`Router::decide`] answers every request, whatever its bytes. The filter and the
//! command share this crate, so what the command prints is what Envoy does.
//!
//! ```
//! use pushring_router::{Decision, Request, Router};
//!
//! let router = Router::parse(br#"{"members": ["10.0.0.1:9091", "10.0.0.2:9091"]}"#).unwrap();
//! let request = Request { method: b"PUT", path: b"/metrics/job/backup/instance/db1", accept: None };
//! match router.decide(request) {
//!     Decision::Route(route) => assert!(route.destination.as_bytes().starts_with(b"pushgateway-10.0.0.")),
//!     _ => unreachable!(),
//! }
//! ```

mod config;
mod decide;
mod push;
mod reply;
mod router;

pub use config::{Config, ConfigError, MEMBERS_MAX, Member, Mode, Placement, RouteBy};
pub use decide::{Decision, Destination, Request, Route};
pub use push::{Group, clean_path, labels_to_path};
pub use reply::{Reply, ReplyKind};
pub use router::{Owned, Router};
