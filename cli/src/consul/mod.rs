//! The HTTP API of the Consul agent.

pub mod client;
mod health;
pub mod lock;
