//! `pushring sweep --watch` with real Pushgateways and a real Consul: leader election, safety, log and metrics.
//!
//! The slowest test waits for Consul to expire a session (30 s) and for the lock delay (15 s).

mod etcd;
mod fixture;
mod heal;
mod lock;
mod passes;
