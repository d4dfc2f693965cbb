//! `pushring groups`, `delete` and `expire` with real Pushgateways. Run with `make e2e`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a panic is how a test fails

mod access;
mod conflicts;
mod delete;
mod expire;
mod listed;
mod poisoned;
mod report;
mod states;
