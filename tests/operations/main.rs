//! The operations guide and the migration guide, done: real Consul, consul-template, Envoy, Pushgateways.
//!
//! One module a part of the guides: `scale` (out, in), `failure` (a member fails, comes back), `consul` (away, all
//! critical), `upgrade` (of Envoy, of the filter), `migration`.

mod consul;
mod crash;
mod failure;
mod migration;
mod scale;
mod upgrade;
