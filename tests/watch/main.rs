//! `pushring sweep --watch` with real Pushgateways and a real Consul: who sweeps, when nothing is touched, what the log
//! and the metrics tell.
//!
//! The slowest wait for Consul to give up a session that is not renewed any more: 30 s, and 15 s of lock delay.

mod fixture;
mod lock;
mod passes;
