//! `pushring` in Kubernetes: a real API server with its controllers and etcd, real Envoys and Pushgateways. The test plays the
//! kubelet: it gives pods their addresses and conditions.
//!
//! `make e2e-kubernetes` builds the servers and runs the tests; `cargo test` alone leaves this suite out.

mod chaos;
mod cluster;
mod discover;
mod faults;
mod fleet;
mod lock;
mod members;
mod restart;
#[path = "../watch/fixture.rs"]
#[expect(dead_code, reason = "the parts for Consul")]
mod sweepers;
