//! One Pushgateway: its HTTP API, its clock and its exposition; and requests to many of them at once.

pub(crate) mod api;
pub(crate) mod client;
pub(crate) mod clock;
mod each_group;
pub(crate) mod exposition;
pub(crate) mod family_types;
pub(crate) mod pool;
pub(crate) mod push_times;
pub(crate) mod time_limits;
pub(crate) mod values;
