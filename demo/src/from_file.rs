//! Members from the file `pushring.json`, which the user edits while the demo runs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use pushring_harness::{Layout, envoy_files};
use pushring_router::{Config, Router};
use serde_json::{Value, json};

use crate::change::{Change, count};
use crate::demo::Demo;
use crate::screen;
use crate::watch::Watch;

/// The file and its last result.
#[derive(Debug)]
pub(crate) struct FromFile {
    /// The path of the file.
    pub(crate) path: PathBuf,
    watch: Watch,
    /// The settings for which Envoy and the Pushgateways were started.
    first: Config,
}

impl FromFile {
    /// Writes the file with these members and the first ring, before Envoy starts.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn create(layout: &Layout, dir: &Path, gateways: &[SocketAddr]) -> Result<(Self, Router)> {
        let mut config = envoy_files::config(layout.mode(), &[])?;
        config["members"] = gateways.iter().map(ToString::to_string).collect();
        let path = dir.join("pushring.json");
        fs::write(&path, format!("{config:#}\n"))?;
        let router = Router::parse(config.to_string().as_bytes())?;
        publish(layout, &config.to_string(), None)?;
        let watch = Watch::new(&path);
        Ok((Self { path, watch, first: router.config().clone() }, router))
    }

    /// Follows the file if it changed. The ring stays if the demo cannot follow, and the demo prints the reason.
    pub(crate) fn tick(&mut self, demo: &mut Demo) {
        let Some(text) = self.watch.changed(|text| Router::parse(text.as_bytes()).is_ok()) else { return };
        let name = screen::short(&self.path);
        let Some(text) = text else {
            screen::problem(format_args!("{name} is missing; the ring stays unchanged until it is back"));
            return;
        };
        if let Err(error) = self.follow(demo, &text) {
            screen::problem(format_args!("{name}: {error:#}"));
            screen::line(format_args!(
                "   the ring stays unchanged: {}",
                count(demo.router.config().members.len(), "member")
            ));
        }
    }

    fn follow(&self, demo: &mut Demo, text: &str) -> Result<()> {
        let started = Instant::now();
        let router = Router::parse(text.as_bytes())?;
        let addresses = self.check(router.config())?;
        for &address in &addresses {
            demo.fleet.ensure(address)?;
        }
        if router.config() == demo.router.config() {
            screen::event(format_args!("{}: the same ring as before", screen::short(&self.path)));
            return Ok(());
        }
        let before = demo.rings()?;
        publish(&demo.layout, text, Some(demo.envoy.admin))?;
        demo.wait_live(before, &router)?;
        let change = Change::between(&demo.router, &router);
        let took = started.elapsed().as_millis();
        screen::event(format_args!(
            "{change}: {} ({} points, live in {took} ms)",
            change.ring(),
            change.points
        ));
        if let Some(groups) = change.groups() {
            screen::line(groups);
        }
        demo.router = router;
        demo.fleet.keep(&addresses);
        Ok(())
    }

    /// Rejects configurations that the filter accepts and this demo cannot follow; returns the members' addresses.
    fn check(&self, config: &Config) -> Result<Vec<SocketAddr>> {
        for ((field, wanted), (_, found)) in fixed(&self.first).into_iter().zip(fixed(config)) {
            if found != wanted {
                bail!("{field}: found {found}, allowed {wanted}, for which the servers were started");
            }
        }
        let address = |member: &pushring_router::Member| {
            let given = &member.address;
            let parsed = given.parse().ok();
            parsed.with_context(|| {
                format!("members: found {given:?}, allowed in this demo: an IP address and a port")
            })
        };
        config.members.iter().map(address).collect()
    }
}

/// Returns the settings that must agree with Envoy's bootstrap and the flags of the Pushgateways.
fn fixed(config: &Config) -> [(&'static str, Value); 6] {
    [
        ("mode", json!(config.mode)),
        ("header", json!(config.header)),
        ("cluster_prefix", json!(config.cluster_prefix)),
        ("status_path", json!(config.status_path)),
        ("path_prefix", json!(config.path_prefix)),
        ("utf8_names", json!(config.utf8_names)),
    ]
}

/// Publishes the ring and prints warnings.
fn publish(layout: &Layout, json: &str, admin: Option<SocketAddr>) -> Result<()> {
    for warning in layout.publish(&serde_json::from_str(json)?, admin)?.warnings {
        screen::problem(warning);
    }
    Ok(())
}
