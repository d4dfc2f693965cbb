//! Target files for Prometheus' `file_sd_configs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;
use pushring_router::Config;
use serde::Serialize;

use crate::command::publish::work_folder;
use crate::discover::memory::VANISHED;
use crate::discover::source::{Route, ServiceInstance};
use crate::error::BadInput;
use crate::file;
use crate::fleet::access::Scheme;
use crate::fleet::address::GatewayAddress;
use crate::fleet::members::Members;
use crate::fleet::registration::{Registration, Registrations};
use crate::text;

/// The flags of the target files.
#[derive(clap::Args)]
pub(super) struct FileSdArgs {
    /// Write all gateways as targets for file_sd_configs, also those that are not on the ring (JSON)
    #[arg(long, help_heading = "Prometheus", value_name = "FILE")]
    file_sd: Option<PathBuf>,
    /// Write every service of the registry as targets (JSON), for --from etcd
    #[arg(long, help_heading = "Prometheus", value_name = "FILE")]
    file_sd_all: Option<PathBuf>,
}

/// The target files, each with the text that was written last.
#[derive(Debug)]
pub(super) struct FileSd {
    gateways: Option<Target>,
    services: Option<Target>,
}

#[derive(Debug)]
struct Target {
    path: PathBuf,
    written: Option<String>,
}

/// One entry of a target file.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Group {
    targets: Vec<String>,
    labels: BTreeMap<&'static str, String>,
}

impl FileSdArgs {
    /// # Errors
    /// [`BadInput`]: the source does not list services.
    pub(super) fn files(self, has_services: bool) -> anyhow::Result<FileSd> {
        let target = |path| Target { path, written: None };
        if self.file_sd_all.is_some() && !has_services {
            return Err(BadInput("--file-sd-all: only --from etcd lists services".to_owned()).into());
        }
        Ok(FileSd { gateways: self.file_sd.map(target), services: self.file_sd_all.map(target) })
    }
}

impl FileSd {
    /// Returns whether every service is written.
    pub(super) fn has_services(&self) -> bool {
        self.services.is_some()
    }

    /// Writes the files that changed. `ring` returns the ring that pushes go to: the live one if it stays, else the next.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn write(
        &mut self,
        found: &Registrations,
        members: &Members,
        ring: impl FnOnce() -> Option<Config>,
        services: &[ServiceInstance],
    ) -> anyhow::Result<()> {
        if let Some(target) = &mut self.gateways {
            target.write(&gateways(found, members, &ring()))?;
        }
        if let Some(target) = &mut self.services {
            target.write(&by_service(services))?;
        }
        Ok(())
    }
}

impl Target {
    fn write(&mut self, groups: &[Group]) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(groups)? + "\n";
        if self.written.as_ref() == Some(&text) {
            return Ok(());
        }
        // A restart without a change must not wake Prometheus.
        if file::read_text(&self.path).ok().as_ref() != Some(&text) {
            // Prometheus reads names like `*.json` as soon as they appear.
            work_folder::replace(&self.path, &text)
                .with_context(|| format!("cannot write {}", text::path(&self.path)))?;
        }
        self.written = Some(text);
        Ok(())
    }
}

/// Returns one group for each gateway that is registered or remembered, by address.
fn gateways(found: &Registrations, members: &Members, ring: &Option<Config>) -> Vec<Group> {
    let on_ring: BTreeMap<String, &str> = ring
        .iter()
        .flat_map(|config| &config.members)
        .map(|member| (member.address.to_string(), member.name.as_str()))
        .collect();
    let off_ring: BTreeMap<&str, &str> =
        members.off_ring.iter().map(|member| (member.address.as_str(), member.name.as_str())).collect();
    let prefix = ring.as_ref().map(|config| config.path_prefix.clone()).unwrap_or_default();
    let mut all: BTreeMap<String, Vec<&Registration>> = BTreeMap::new();
    for one in &found.found {
        // The others are reported as skipped.
        if let Ok(address) = GatewayAddress::new(&one.address, one.port) {
            all.entry(address.to_string()).or_default().push(one);
        }
    }
    let group = |(address, registrations): (String, Vec<&Registration>)| {
        let ring_name = on_ring.get(&address).copied();
        let first = registrations.iter().find(|one| one.is_passing()).or(registrations.first());
        let own = first.map(|one| one.name.as_str()).filter(|name| !name.is_empty());
        let name = ring_name.or_else(|| off_ring.get(address.as_str()).copied()).or(own).unwrap_or(&address);
        let mut labels = BTreeMap::from([
            ("member", name.to_owned()),
            ("address", address.clone()),
            ("state", state(ring_name.is_some(), &registrations).to_owned()),
        ]);
        let datacenter =
            registrations.iter().map(|one| one.datacenter.as_str()).find(|name| !name.is_empty());
        labels.extend(datacenter.map(|name| ("datacenter", name.to_owned())));
        if members.schemes.get(&address) == Some(&Scheme::Https) {
            labels.insert("__scheme__", "https".to_owned());
        }
        if !prefix.is_empty() {
            labels.insert("__metrics_path__", format!("{prefix}/metrics"));
        }
        Group { targets: vec![address], labels }
    };
    all.into_iter().map(group).collect()
}

fn state(on_ring: bool, registrations: &[&Registration]) -> &'static str {
    let all = |is: fn(&Registration) -> bool| registrations.iter().all(|one| is(one));
    match () {
        () if on_ring => "on-ring",
        () if all(|one| one.leaving) => "leaving",
        () if all(|one| one.leaving || one.status == VANISHED) => "vanished",
        () if registrations.iter().any(|one| one.is_passing() && !one.leaving) => "not-a-member",
        () => "not-passing",
    }
}

/// Returns one group for each service, and for each path of metrics in it. An instance that names none has the only path that
/// the others name.
fn by_service(services: &[ServiceInstance]) -> Vec<Group> {
    let mut paths: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in services {
        paths.entry(&one.service).or_default().extend(metrics_path(&one.routes));
    }
    let only_path = |service: &str| {
        let paths = paths.get(service).filter(|paths| paths.len() == 1)?;
        paths.first().copied()
    };
    let mut all: BTreeMap<(&str, Option<&str>), Vec<String>> = BTreeMap::new();
    for one in services {
        if let Ok(address) = GatewayAddress::new(&one.host, one.port.into()) {
            let path = metrics_path(&one.routes).or_else(|| only_path(&one.service));
            all.entry((&one.service, path)).or_default().push(address.to_string());
        }
    }
    let group = |((service, path), mut targets): ((&str, Option<&str>), Vec<String>)| {
        targets.sort_unstable();
        targets.dedup();
        let mut labels = BTreeMap::from([("service", service.to_owned())]);
        labels.extend(path.map(|path| ("__metrics_path__", path.to_owned())));
        Group { targets, labels }
    };
    all.into_iter().map(group).collect()
}

/// Returns the route at which a service has its metrics; `None`: Prometheus' own default.
fn metrics_path(routes: &[Route]) -> Option<&str> {
    let is_metrics = |route: &&Route| {
        let last = route.path.rsplit('/').next();
        last == Some("metrics") && (route.method.is_empty() || route.method.eq_ignore_ascii_case("GET"))
    };
    routes.iter().find(is_metrics).map(|route| route.path.as_str())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::fleet::members::Settings;

    fn registration(host: &str, status: &str, name: &str) -> Registration {
        Registration { status: status.to_owned(), name: name.to_owned(), ..Registration::new(host, 9091) }
    }

    fn written(groups: &[Group]) -> Value {
        serde_json::to_value(groups).unwrap()
    }

    #[test]
    fn lists_every_gateway_with_its_state() {
        let settings = Settings::parse("{min_members_share: 0, filter: {path_prefix: /pg}}").unwrap();
        let mut all = vec![
            registration("10.0.0.1", "passing", "a"),
            registration("10.0.0.2", "critical", ""),
            registration("10.0.0.3", VANISHED, "c"),
            registration("10.0.0.4", "passing", ""),
            registration("10.0.0.5", "passing", "a"),
            Registration::new("no host", 9091),
        ];
        all[0].datacenter = "dc1".to_owned();
        all[0].scheme = "https".to_owned();
        all[3].leaving = true;
        let found = Registrations::from(all);
        let members = Members::decide(&settings, &found);
        let groups = gateways(&found, &members, &Config::parse(members.config.as_bytes()).ok());
        let entry = |host: &str, member: &str, state: &str| {
            let address = format!("10.0.0.{host}:9091");
            let labels = json!({"member": member, "address": address, "state": state, "__metrics_path__": "/pg/metrics"});
            json!({"targets": [address], "labels": labels})
        };
        let mut first = entry("1", "a", "on-ring");
        first["labels"]["datacenter"] = json!("dc1");
        first["labels"]["__scheme__"] = json!("https");
        let expected = json!([
            first,
            entry("2", "10.0.0.2:9091", "not-passing"),
            entry("3", "c", "vanished"),
            entry("4", "10.0.0.4:9091", "leaving"),
            entry("5", "a", "not-a-member"),
        ]);
        assert_eq!(written(&groups), expected);
    }

    #[test]
    fn lists_services_by_their_path_of_metrics() {
        let instance = |service: &str, id: &str, routes: &[(&str, &str)]| ServiceInstance {
            service: service.to_owned(),
            id: id.to_owned(),
            host: "10.0.0.1".to_owned(),
            port: 80 + id.len() as u16,
            routes: routes
                .iter()
                .map(|(path, method)| Route { path: (*path).to_owned(), method: (*method).to_owned() })
                .collect(),
        };
        let all = [
            instance("shop", "x", &[("/metrics", "POST"), ("/admin/metrics", "get"), ("/buy", "GET")]),
            instance("shop", "xx", &[("/admin/metrics", "GET")]),
            instance("shop", "xxx", &[]),
            instance("pay", "x", &[("/pay", "POST")]),
            ServiceInstance { host: "not a host".to_owned(), ..instance("odd", "x", &[]) },
        ];
        let expected = json!([
            {"targets": ["10.0.0.1:81"], "labels": {"service": "pay"}},
            {"targets": ["10.0.0.1:81", "10.0.0.1:82", "10.0.0.1:83"], "labels": {"service": "shop", "__metrics_path__": "/admin/metrics"}},
        ]);
        assert_eq!(written(&by_service(&all)), expected);
    }

    #[test]
    fn a_file_is_replaced_only_if_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("targets.json");
        let mut target = Target { path: path.clone(), written: None };
        target.write(&[]).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o644);
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        let first = inode(&path);
        Target { path: path.clone(), written: None }.write(&[]).unwrap();
        assert_eq!(inode(&path), first);
        let group = || Group { targets: vec!["a:1".to_owned()], labels: BTreeMap::new() };
        target.write(&[group()]).unwrap();
        assert_ne!(inode(&path), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
