//! `pushring groups`, `delete` and `expire` with real Pushgateways.

mod access;
mod blame;
mod clashes;
mod collisions;
mod conflicts;
mod delete;
mod expire;
mod heal;
mod inputs;
mod kinds;
mod listed;
mod pairs;
mod poisoned;
mod random;
mod replicas;
mod report;
mod states;
