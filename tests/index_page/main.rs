//! The page of metric-index in headless Chromium. `make e2e-index-page` runs the tests, `cargo test` alone leaves this suite
//! out.

#[path = "../page/browser.rs"]
mod browser;
mod catalogue;
mod hostile;
mod pages;
mod picture;
