//! The images that `make images` writes to target/dist: pushed to a real registry by the commands of docs/install/images.md,
//! fetched by Istio's code, loaded by Envoy, and run by runc.
//!
//! `make e2e-dist` builds the images and runs the tests; `cargo test` alone leaves this suite out.

mod archives;
mod container;
mod istio;
mod registry;
mod run;
