//! The steps of the operations guide and of the migration guide with real Consul, consul-template, Envoy and
//! Pushgateways.
//!
//! Each module covers one part: `scale` (out and in), `failure` (a member fails and comes back), `crash`, `consul`
//! (unreachable, all critical), `upgrade` (of Envoy and of the filter), `migration`.

mod consul;
mod crash;
mod failure;
mod migration;
mod scale;
mod upgrade;
