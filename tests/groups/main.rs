//! `pushring groups`, `delete` and `expire` with real Pushgateways.

mod access;
mod conflicts;
mod delete;
mod expire;
mod judge;
mod listed;
mod poisoned;
mod report;
mod states;
