//! The flags of a publication.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, ensure};

use super::options::Options;
use crate::duration;
use crate::error::BadInput;
use crate::fleet::render;
use crate::text;

/// Where to publish, and how. `publish` and `discover` share these flags.
#[derive(clap::Args)]
pub(crate) struct PublicationArgs {
    /// Settings of the ring (YAML)
    #[arg(long, value_name = "FILE", default_value = "/etc/pushring/consul-template/settings.yaml")]
    pub(crate) settings: PathBuf,
    /// Folder that Envoy watches
    #[arg(long, value_name = "DIR", default_value = "/etc/pushring/live")]
    pub(crate) live: PathBuf,
    /// The Wasm filter as Envoy finds it [default: pushring_filter.wasm next to the live folder]
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// The native module in its place [default: libpushring_native.so next to the live folder, if the Wasm filter is not there]
    #[arg(long, value_name = "FILE", conflicts_with = "wasm")]
    native: Option<PathBuf>,
    /// Admin interface of an Envoy: http://host:port or unix:/path, repeatable; without it, a fixed delay applies
    #[arg(long, value_name = "URL")]
    admin: Vec<String>,
    /// How long a cluster or endpoint stays after the ring no longer names it
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::within(duration::MILLISECOND, duration::DAY))]
    pub(crate) grace: Duration,
    /// Wait between the clusters or endpoints and the ring if Envoy cannot be asked
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration::within(Duration::ZERO, duration::HOUR))]
    pub(crate) delay: Duration,
    /// How long to wait for Envoy to add a cluster or endpoint; longer than its resolver needs to give up on a name
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::within(duration::MILLISECOND, duration::HOUR))]
    timeout: Duration,
}

impl PublicationArgs {
    /// Checks the flags.
    ///
    /// # Errors
    /// [`BadInput`]: an admin address is invalid, or the live folder is a file.
    pub(crate) fn options(self) -> anyhow::Result<Options> {
        ensure!(
            !self.live.exists() || self.live.is_dir(),
            BadInput(format!(
                "--live: found {}, which is no directory, expected one",
                text::path(&self.live)
            ))
        );
        check_module(
            "--wasm",
            self.wasm.as_deref(),
            "a Wasm module; --native names a shared object",
            |native| !native,
        )?;
        check_module("--native", self.native.as_deref(), "a shared object (.so)", |native| native)?;
        Ok(Options {
            module: self.wasm.or(self.native).map_or_else(|| default_module(&self.live), Ok)?,
            live: self.live,
            // Not parsed by clap, whose errors repeat the value, which may contain a password.
            admin: self.admin.iter().map(|url| url.parse()).collect::<anyhow::Result<_>>()?,
            grace: self.grace,
            delay: self.delay,
            timeout: self.timeout,
        })
    }
}

fn check_module(
    flag: &str,
    module: Option<&Path>,
    expected: &str,
    is_right: fn(bool) -> bool,
) -> anyhow::Result<()> {
    match module {
        Some(module) if !is_right(render::is_native(module)) => {
            bail!(BadInput(format!("{flag}: found {}, expected {expected}", text::path(module))))
        }
        _ => Ok(()),
    }
}

/// Returns the path next to the live folder, absolute, because Envoy runs in another folder.
fn default_module(live: &Path) -> std::io::Result<PathBuf> {
    let live = std::path::absolute(live)?;
    let [wasm, native] =
        ["pushring_filter.wasm", "libpushring_native.so"].map(|name| live.with_file_name(name));
    Ok(if native.exists() && !wasm.exists() { native } else { wasm })
}
