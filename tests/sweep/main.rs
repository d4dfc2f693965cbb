//! `pushring sweep` on real Pushgateways: what it deletes, and above all what it keeps. Each safety rule has a test
//! that fails, with data lost, if the rule is broken.

mod clocks;
mod concurrent;
mod doubts;
mod families;
mod guard;
mod replicas;
mod report;
mod returns;
mod scale_out;
mod watcher;
