//! The filter as a dynamic module: a shared object that Envoy loads. It makes the same decisions as the Wasm filter, by
//! `pushring_router::Filter`, at the price of a function call in place of a virtual machine.
//!
//! Envoy trusts a module as it trusts itself, so three rules keep it alive:
//!
//! * Unsafe code is in three files: `abi` declares Envoy's functions, `hooks` has those that Envoy calls, and `envoy` wraps those
//!   that it offers. All other code is safe.
//! * A panic ends no hook: `panics` catches it, counts it and answers the request with 500. So the module is built with the
//!   profile `native`, which unwinds.
//! * Envoy's bytes are borrowed from the request, which gives out none while a header is set.

#![deny(clippy::indexing_slicing)]

#[allow(unsafe_code)]
mod abi;
#[allow(unsafe_code)]
mod envoy;
#[allow(unsafe_code)]
mod hooks;
mod panics;
mod plugin;
