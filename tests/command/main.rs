//! Compares the answers of the `pushring` command with those of real servers.

mod nasty;
mod owner;
mod plan;
use pushring_model::spelling;
