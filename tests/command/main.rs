//! What the `pushring` command says against what real servers do.

#[allow(dead_code)] // the part of it that is needed here
#[path = "../e2e/fleet.rs"]
mod fleet;
mod owner;
mod plan;
use pushring_model::spelling;
