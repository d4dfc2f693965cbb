//! What the `pushring` command says against what real servers do.

mod owner;
mod plan;
use pushring_model::spelling;
