//! Where the binaries are that `make tools` and `make wasm` put below target/.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// A server or client binary by name: `pushgateway`, `envoy`, `consul`, `consul-template`, …
///
/// # Errors
/// When it was not installed yet.
pub fn find(name: &str) -> Result<PathBuf> {
    existing(&format!("target/tools/bin/{name}"), "make tools")
}

/// The Python interpreter that has `prometheus_client`.
///
/// # Errors
/// When it was not installed yet.
pub fn python() -> Result<PathBuf> {
    existing("target/tools/python/bin/python", "make tools")
}

/// The folder whose `node_modules` has `prom-client`.
///
/// # Errors
/// When it was not installed yet.
pub fn node() -> Result<PathBuf> {
    existing("target/tools/node", "make tools")
}

/// The compiled filter.
///
/// # Errors
/// When it was not built yet.
pub fn wasm() -> Result<PathBuf> {
    existing("target/wasm32-unknown-unknown/release/pushring_filter.wasm", "make wasm")
}

/// The `pushring` command.
///
/// # Errors
/// When it was not built yet.
pub fn pushring() -> Result<PathBuf> {
    existing("target/debug/pushring", "cargo build -p pushring")
}

/// PATH with the folder of the `pushring` command in front.
///
/// # Errors
/// When it was not built yet.
pub fn path() -> Result<OsString> {
    let own = pushring()?.parent().map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(own.into_iter().chain(env::split_paths(&path)))?)
}

fn existing(path: &str, remedy: &str) -> Result<PathBuf> {
    let full = repository().join(path);
    if !full.exists() {
        bail!("{path} is missing: run `{remedy}`");
    }
    Ok(full)
}
