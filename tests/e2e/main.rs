//! The compiled filter in a real Envoy with the shipped configurations, in front of real Pushgateways. Each file
//! checks one promise.

mod agreement;
mod bodies;
mod capabilities;
mod clients;
mod deletes;
mod edge;
mod failover;
mod forged;
mod golden;
mod idle;
mod load;
mod memory;
mod recorder;
mod redirected;
mod redirects;
mod reload;
mod retries;
mod routing;
mod shipped;
mod silent;
