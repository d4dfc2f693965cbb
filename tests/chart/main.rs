//! The Helm chart and the plain manifests: what a real API server, a real Envoy and `pushring` say about them.
//!
//! `make e2e-kubernetes` builds the servers and runs the tests; `cargo test` alone leaves this suite out.

mod cluster;
mod envoy;
mod helm;
mod package;
mod rejected;
mod rights;
mod server;
