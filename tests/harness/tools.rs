//! Paths of the binaries that `make tools` and `make wasm` store in target/.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// Returns the folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// Returns the path of a server or client by name: `pushgateway`, `envoy`, `consul`, `consul-template`, …
///
/// The environment variables `ENVOY` and `PUSHGATEWAY` replace the installed server by another version.
///
/// # Errors
/// If it is not installed.
pub fn find(name: &str) -> Result<PathBuf> {
    let other = match name {
        "envoy" => env::var_os("ENVOY"),
        "pushgateway" => env::var_os("PUSHGATEWAY"),
        _ => None,
    };
    if let Some(other) = other {
        return Ok(other.into());
    }
    existing(&format!("target/tools/bin/{name}"), "make tools")
}

/// Returns the binary of an older Envoy that the shipped files support.
///
/// # Errors
/// If it is not installed.
pub fn envoy(version: &str) -> Result<PathBuf> {
    existing(&format!("target/tools/envoy-{version}/envoy/_bin/envoy"), "make tools")
}

/// Returns the path of a file of Debian's packages for nginx and HAProxy, below `usr/`.
///
/// # Errors
/// If it is not installed.
pub fn debian(path: &str) -> Result<PathBuf> {
    existing(&format!("target/tools/debian/usr/{path}"), "make tools")
}

/// Returns a command for a program of Debian's packages, below `usr/`, with their libraries.
///
/// # Errors
/// If it is not installed.
pub fn debian_command(program: &str) -> Result<Command> {
    let mut command = process::command(&debian(program)?);
    command.env("LD_LIBRARY_PATH", debian_libraries()?);
    Ok(command)
}

/// Returns the folder with the libraries of Debian's packages; its name is that of the architecture.
///
/// # Errors
/// If they are not installed.
pub fn debian_libraries() -> Result<PathBuf> {
    debian(&format!("lib/{}-linux-gnu", env::consts::ARCH))
}

/// Returns a server for the distributed engine of metric-index by name.
///
/// # Errors
/// If it is not installed.
pub fn index(name: &str) -> Result<PathBuf> {
    existing(&format!("target/tools/bin/{name}"), "make index-tools")
}

/// Returns the path of a file of Debian's packages for Redis and MariaDB, below `usr/`.
///
/// # Errors
/// If it is not installed.
pub fn stores(path: &str) -> Result<PathBuf> {
    existing(&format!("target/tools/stores/usr/{path}"), "make index-tools")
}

/// Returns a command for a program of these packages, below `usr/`, with their libraries.
///
/// # Errors
/// If it is not installed.
pub fn stores_command(program: &str) -> Result<Command> {
    let mut command = process::command(&stores(program)?);
    command.env("LD_LIBRARY_PATH", stores(&format!("lib/{}-linux-gnu", env::consts::ARCH))?);
    Ok(command)
}

/// Returns the folder with the libraries of Kafka.
///
/// # Errors
/// If they are not installed.
pub fn kafka() -> Result<PathBuf> {
    existing("target/tools/kafka", "make index-tools")
}

/// Returns the `metric-index` command. The environment variable `METRIC_INDEX` replaces it by another build.
///
/// # Errors
/// If it is not built.
pub fn metric_index() -> Result<PathBuf> {
    if let Some(other) = env::var_os("METRIC_INDEX") {
        return Ok(other.into());
    }
    existing("target/debug/metric-index", "cargo build -p pushring-index")
}

/// Returns the Python interpreter that has `prometheus_client`.
///
/// # Errors
/// If it is not installed.
pub fn python() -> Result<PathBuf> {
    existing("target/tools/python/bin/python", "make tools")
}

/// Returns the folder whose `node_modules` contains `prom-client`.
///
/// # Errors
/// If it is not installed.
pub fn node() -> Result<PathBuf> {
    existing("target/tools/node", "make tools")
}

/// Returns the compiled filter.
///
/// # Errors
/// If it is not built.
pub fn wasm() -> Result<PathBuf> {
    existing("target/wasm32-unknown-unknown/release/pushring_filter.wasm", "make wasm")
}

/// Returns the compiled dynamic module.
///
/// # Errors
/// If it is not built.
pub fn native() -> Result<PathBuf> {
    existing("target/native/libpushring_native.so", "make native")
}

/// Returns the build of the dynamic module that panics on request.
///
/// # Errors
/// If it is not built.
pub fn native_with_panics() -> Result<PathBuf> {
    existing("target/panics/native/libpushring_native.so", "make e2e-native")
}

/// Returns the `pushring` command.
///
/// # Errors
/// If it is not built.
pub fn pushring() -> Result<PathBuf> {
    existing("target/debug/pushring", "cargo build -p pushring")
}

/// Returns PATH with the folder of the `pushring` command in front.
///
/// # Errors
/// If the command is not built.
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
