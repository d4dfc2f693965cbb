//! Compares the answers of the `pushring` command with those of real servers.

mod limits;
mod nasty;
mod owner;
mod plan;
mod raw_targets;
mod secrets;
use pushring_model::spelling;
