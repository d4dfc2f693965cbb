//! The `metric-index` command.

// `serve` opens it.
#[allow(dead_code)]
mod catalogue;

fn main() {}
