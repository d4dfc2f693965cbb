//! `pushring drain` between real Pushgateways: which groups it carries, which it keeps, and the state after a kill.

mod bytes;
mod clocks;
mod concurrent;
mod conflicts;
mod ended;
mod families;
mod fixture;
mod killed;
mod persisted;
mod refused;
mod replicas;
