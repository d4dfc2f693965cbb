//! The Helm chart, installed in a real Kubernetes control plane whose pods run: a kubelet of the test gives each pod a network
//! and files of its own, and runs real programs as its containers.
//!
//! `make e2e-kubernetes` builds the servers and runs the tests; `cargo test` alone leaves this suite out.

#[expect(dead_code, reason = "the suite `documents` uses the rest")]
#[path = "../documents/blocks.rs"]
mod blocks;
mod cluster;
mod endpoints;
mod faults;
mod kubelet;
mod life;
mod page;
mod pods;
mod release;
mod traffic;
