//! Members from Consul: the shipped templates, `pushring publish` and `pushring register` with a real Consul,
//! consul-template, Envoy and real pushgateways. Run with `make e2e`.

mod deregister;
mod fleet;
mod health;
mod identity;
mod names;
mod no_gateway;
mod odd;
mod publish;
mod register;
mod rendered;
mod replay;
mod same_ring;
mod twins;
