//! The dynamic module in a real Envoy: the tests that it does not share with the Wasm filter. `make e2e-native` runs it, and
//! all other suites on the module.

#![allow(missing_docs)]

mod abi;
mod panics;
mod switch;
