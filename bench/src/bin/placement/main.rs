//! `make bench-placement`: which groups move needlessly when members change, and how evenly groups spread.

fn main() {}
