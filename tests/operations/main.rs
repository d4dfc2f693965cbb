//! The events of the operations guide with real Consul, consul-template, Envoy and Pushgateways. tests/documents executes
//! its commands.
//!
//! Each module covers one part: `scale` (out and in), `failure` (a member fails and comes back), `crash`, `consul`
//! (unreachable, all critical), `upgrade` (of Envoy and of the filter).

mod consul;
mod crash;
mod failure;
mod scale;
mod upgrade;
