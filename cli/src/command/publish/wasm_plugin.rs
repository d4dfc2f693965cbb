//! Publishes the members of a ring to the gateways of Istio: as the configuration of a WasmPlugin and the endpoints of a
//! ServiceEntry, which istiod sends to each Envoy.
//!
//! As with files, a new endpoint goes first and an old one last:
//!
//! 1. The filter's own parser checks the new ring. A ring that it rejects is never written.
//! 2. The ServiceEntry gets the new endpoints *and* those that the live ring names.
//! 3. If the new ring names another address than the live one, a settle time passes from the moment at which this process first
//!    saw the endpoints as they are. istiod does not say which Envoys have them, and cannot be asked without its own
//!    credentials.
//! 4. The WasmPlugin follows. Endpoints that left stay in the ServiceEntry for the grace time.
//!
//! No push depends on the settle time: Envoy skips an address that it does not have yet, and the next address in
//! the ring's order is the one that owned the group before.
//!
//! Every change of a WasmPlugin makes new VMs in each Envoy, so equal content is not written again. An
//! object is written only as long as its `spec` is as it was read: of two processes, one writes and the other reads again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};
use pushring_router::{Config, Mode, Router};
use serde_json::{Map, Value, json};

use super::departed::Departed;
use super::live::Live;
use super::options::Report;
use super::run::{checked, warnings};
use super::service_entry::Endpoints;
use crate::error::BadInput;
use crate::fleet::access::Scheme;
use crate::fleet::members::{Members, Settings};
use crate::kubernetes::access::KubernetesArgs;
use crate::kubernetes::object::{Object, ObjectName, Resource};
use crate::output::millis;
use crate::parse;

/// The object with the ring.
pub(crate) const WASM_PLUGIN: &str = "WasmPlugin";
/// The object with the endpoints.
const SERVICE_ENTRY: &str = "ServiceEntry";
const PLUGINS: Resource =
    Resource { group: "extensions.istio.io", version: "v1alpha1", plural: "wasmplugins", kind: WASM_PLUGIN };
const ENTRIES: Resource =
    Resource { group: "networking.istio.io", version: "v1", plural: "serviceentries", kind: SERVICE_ENTRY };
/// Wait for another process with the same notes.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

/// Where to publish, and how.
#[derive(Clone, Debug)]
pub(crate) struct WasmPluginOptions {
    pub(crate) plugin: ObjectName,
    /// In the namespace of the plugin if it names none.
    pub(crate) entry: ObjectName,
    pub(crate) access: KubernetesArgs,
    /// Folder for notes.
    pub(crate) state: PathBuf,
    /// How long an endpoint stays after the ring no longer names it.
    pub(crate) grace: Duration,
    /// The settle time.
    pub(crate) delay: Duration,
}

/// A WasmPlugin and its ServiceEntry.
#[derive(Debug)]
pub(crate) struct WasmPlugin {
    plugin: Object,
    entry: Object,
    state: PathBuf,
    grace: Duration,
    delay: Duration,
    /// Both as read last.
    found: Option<Found>,
    /// The endpoints as read or written last, and when they were first seen so.
    seen: Option<(BTreeSet<String>, Instant)>,
}

#[derive(Clone, Debug)]
struct Found {
    plugin: Value,
    entry: Value,
    endpoints: Endpoints,
}

impl Found {
    fn config(&self) -> &Value {
        &self.plugin["spec"]["pluginConfig"]
    }

    fn ring(&self) -> Option<Config> {
        Config::parse(self.config().to_string().as_bytes()).ok()
    }
}

/// Checks what settings of files and of a WasmPlugin do not have in common.
///
/// # Errors
/// [`BadInput`] with the field.
pub(crate) fn check_settings(settings: &Settings) -> anyhow::Result<()> {
    let mode = settings.filter.get("mode").unwrap_or(&Value::Null);
    ensure!(
        mode == "endpoint",
        BadInput(format!("filter.mode: found {mode}, expected \"endpoint\" for --to wasmplugin"))
    );
    ensure!(
        settings.gateways.is_none(),
        BadInput(
            "gateways: not for --to wasmplugin; for TLS to the gateways, use a DestinationRule for the host of the \
             ServiceEntry"
                .to_owned()
        )
    );
    Ok(())
}

impl WasmPlugin {
    /// Reads the credentials; sends no request.
    ///
    /// # Errors
    /// [`BadInput`]: the credentials are of no use.
    pub(crate) fn new(options: WasmPluginOptions) -> anyhow::Result<Self> {
        let WasmPluginOptions { plugin, mut entry, access, state, grace, delay } = options;
        let plugin = Object::new(PLUGINS, &access, plugin)?;
        entry.namespace.get_or_insert_with(|| plugin.namespace().to_owned());
        let entry = Object::new(ENTRIES, &access, entry)?;
        Ok(Self { plugin, entry, state, grace, delay, found: None, seen: None })
    }

    /// Returns the folder for notes.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Returns the grace time.
    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }

    /// Reads both objects.
    ///
    /// # Errors
    /// With the object: it cannot be read, or the ServiceEntry has no list of endpoints.
    pub(crate) fn read(&mut self) -> anyhow::Result<()> {
        let plugin = self.plugin.get()?;
        let entry = self.entry.get()?;
        let endpoints = Endpoints::of(&entry).with_context(|| self.entry.to_string())?;
        self.see(&endpoints);
        self.found = Some(Found { plugin, entry, endpoints });
        Ok(())
    }

    /// Returns the ring as read last.
    pub(crate) fn ring(&self) -> Option<Config> {
        self.found.as_ref()?.ring()
    }

    /// Returns whether there is a ring, or that is not known.
    pub(crate) fn has_ring(&self) -> bool {
        self.found.as_ref().is_none_or(|found| !found.config()["members"].is_null())
    }

    /// Publishes after [`WasmPlugin::read`]. May be killed at any point: the next call finishes the work.
    ///
    /// # Errors
    /// [`BadInput`] if the filter would reject the ring: then nothing was written. Any other error: an object could not be
    /// written; if that is the ServiceEntry, the WasmPlugin has not changed.
    pub(crate) fn publish(&mut self, members: &Members) -> anyhow::Result<Report> {
        let started = Instant::now();
        let found = self.found.clone().context("the objects were not read")?;
        let live = Live::lock(&self.state, LOCK_LIMIT)?;
        let mut warnings = warnings(members);
        warnings.extend(https(members));
        let (config, ring) = checked(&members.config, build, self.has_ring(), &mut warnings)
            .map_err(|error| error.context(format!("{} is unchanged", self.plugin)))?;

        let new = found.endpoints.with(&members.endpoints);
        let left = found.endpoints.names_not_in(&new);
        let on_ring = addresses(&ring);
        // A ring that another version wrote may be in use: drop nothing.
        let on_live_ring = match (found.ring(), self.has_ring()) {
            (None, true) => None,
            (ring, _) => Some(ring.as_ref().map(addresses).unwrap_or_default()),
        };
        let unused = |name: &String| {
            !on_ring.contains(name) && on_live_ring.as_ref().is_some_and(|names| !names.contains(name))
        };
        let mut departed = Departed::read(&live, SystemTime::now());
        let added = new.names_not_in(&found.endpoints);
        let (dropped, kept): (Vec<String>, Vec<String>) =
            left.into_iter().partition(|name| departed.for_at_least(name, self.grace) && unused(name));
        departed.retain(|name| kept.contains(name) && !on_ring.contains(name));
        departed.write(&live)?;

        let mut moved = Vec::new();
        let all = new.and(&found.endpoints, &kept);
        if all != found.endpoints {
            self.write_endpoints(&found, &all)?;
            moved.push(SERVICE_ENTRY);
        }
        live.pause_at("listed");
        if *found.config() != config {
            if !on_live_ring.is_some_and(|names| names.is_superset(&on_ring)) {
                self.settle();
            }
            self.write_config(&found, &config)?;
            moved.push(WASM_PLUGIN);
        }
        departed.add(kept.iter().filter(|name| !on_ring.contains(*name)), SystemTime::now());
        departed.write(&live)?;
        let (mode, members) = (Mode::Endpoint, ring.members.len());
        Ok(Report { mode, members, added, kept, dropped, moved, warnings, ms: millis(started.elapsed()) })
    }

    fn write_endpoints(&mut self, found: &Found, all: &Endpoints) -> anyhow::Result<()> {
        let written = self.entry.patch(&found.entry, all.fields())?;
        let endpoints = Endpoints::of(&written).with_context(|| self.entry.to_string())?;
        ensure!(
            endpoints == *all,
            "{}: spec.endpoints: the API server stored another list; look for a webhook that changes it",
            self.entry
        );
        self.see(&endpoints);
        if let Some(found) = &mut self.found {
            (found.entry, found.endpoints) = (written, endpoints);
        }
        Ok(())
    }

    fn write_config(&mut self, found: &Found, config: &Value) -> anyhow::Result<()> {
        // Null removes a field that the settings no longer have.
        let old = found.config().as_object();
        let mut fields: Map<String, Value> =
            old.into_iter().flatten().map(|(field, _)| (field.clone(), Value::Null)).collect();
        fields.extend(config.as_object().cloned().unwrap_or_default());
        let fields = json!({ "spec": { "pluginConfig": fields } });
        let written = self.plugin.patch(&found.plugin, fields)?;
        ensure!(
            written["spec"]["pluginConfig"] == *config,
            "{}: spec.pluginConfig: the API server stored another configuration; look for a webhook that changes it",
            self.plugin
        );
        if let Some(found) = &mut self.found {
            found.plugin = written;
        }
        Ok(())
    }

    fn see(&mut self, endpoints: &Endpoints) {
        let names = endpoints.names();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != names) {
            self.seen = Some((names, Instant::now()));
        }
    }

    /// Waits until istiod has had time to send the endpoints.
    fn settle(&self) {
        let since = self.seen.as_ref().map(|(_, since)| since.elapsed()).unwrap_or_default();
        thread::sleep(self.delay.saturating_sub(since));
    }
}

/// Checks a configuration as the filter does.
fn build(config: &str) -> anyhow::Result<(Value, Config)> {
    let bad = |error: &dyn std::fmt::Display| BadInput(error.to_string());
    let parsed = Config::parse(config.as_bytes()).map_err(|error| bad(&error))?;
    Router::new(parsed.clone()).map_err(|error| bad(&error))?;
    Ok((parse::json(config).map_err(anyhow::Error::msg)?, parsed))
}

fn addresses(ring: &Config) -> BTreeSet<String> {
    ring.members.iter().map(|member| member.address.to_string()).collect()
}

fn https(members: &Members) -> Option<String> {
    let https: Vec<&str> = members
        .schemes
        .iter()
        .filter(|(_, scheme)| **scheme == Scheme::Https)
        .map(|(address, _)| address.as_str())
        .collect();
    let first = https.first()?;
    Some(format!(
        "{} registered with scheme https, for example {first}: that needs a DestinationRule with TLS for the host of the \
         ServiceEntry",
        https.len()
    ))
}
