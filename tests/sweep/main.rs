//! `pushring sweep` on real Pushgateways: what it deletes, and above all what it does not. Each of the safety rules has
//! a test that fails, with data lost, when the rule is broken.

mod clocks;
mod doubts;
mod families;
mod guard;
mod meanwhile;
mod report;
mod returns;
mod scale_out;
mod watcher;
