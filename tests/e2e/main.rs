//! The compiled filter in a real Envoy with the shipped configurations, in front of real Pushgateways. Each file
//! checks one promise.

mod access_log;
mod agreement;
mod blocks;
mod bodies;
mod capabilities;
mod clients;
mod configmap;
mod content_types;
mod deletes;
mod digests;
mod early_answers;
mod edge;
mod failover;
mod forged;
mod golden;
mod idle;
mod load;
mod loops;
mod memory;
mod metrics_listener;
mod named;
mod readiness;
mod reasons;
mod recorder;
mod redirected;
mod redirects;
mod reload;
mod retries;
mod routing;
mod series;
mod shipped;
mod silent;
mod vanished;
