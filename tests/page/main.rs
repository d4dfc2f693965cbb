//! The page of `pushring serve` in headless Chromium, through Envoy, over real Pushgateways. `make e2e-page` runs the tests,
//! `cargo test` alone leaves this suite out.

mod browser;
mod deletions;
mod fleet;
mod groups;
mod hostile;
mod picture;
