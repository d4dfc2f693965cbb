//! `metric-index serve` in line: writes pass through it to scripted and to real targets, from scripted and real senders.

mod answers;
mod bodies;
mod captured;
mod compliance;
mod fixture;
mod passed;
mod real;
mod reload;
mod spool;
