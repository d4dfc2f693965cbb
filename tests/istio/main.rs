//! `pushring discover --to wasmplugin` with Istio: a real API server with Istio's resource definitions, a real istiod, and real
//! Envoys and Pushgateways. The resources are those of deploy/istio.
//!
//! `make e2e-kubernetes` builds the servers and runs the tests; `cargo test` alone leaves this suite out.

mod gateway;
mod manifests;
mod mesh;
mod pushes;
mod serve;
mod writer;
