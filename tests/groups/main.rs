//! `pushring groups`, `delete` and `expire` with real Pushgateways.

mod access;
mod conflicts;
mod delete;
mod expire;
mod heal;
mod inputs;
mod kinds;
mod listed;
mod poisoned;
mod report;
mod states;
