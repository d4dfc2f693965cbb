//! The `metric-index` command.

fn main() {}
