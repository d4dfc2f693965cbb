//! One Pushgateway: its HTTP API, its clock and its exposition; and requests to many of them at once.

pub mod api;
pub mod client;
pub mod clock;
pub mod exposition;
pub mod pool;
pub mod push_times;
