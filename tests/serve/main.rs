//! `pushring serve` on real Pushgateways. The referee is one Pushgateway that holds the same groups.

mod answers;
mod between;
mod fixture;
mod inputs;
mod sources;
mod trouble;
