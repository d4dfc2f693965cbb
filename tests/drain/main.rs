//! `pushring drain` between real Pushgateways: what is carried, what is kept, what a kill leaves behind.

mod bytes;
mod clocks;
mod conflicts;
mod ended;
mod families;
mod fixture;
mod killed;
mod meanwhile;
mod refused;
mod wire;
