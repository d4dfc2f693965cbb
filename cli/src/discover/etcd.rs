//! Members from etcd: the keys `/service/{name}/{id}`.
//!
//! The keys are listed at one revision and then watched from the next one on. After a broken connection the watch resumes
//! where it was, so that no change is missed; if the store no longer has the changes since then, or was restored from a
//! backup and has others, the keys are listed again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, ErrorKind};

use anyhow::{anyhow, bail};

use super::memory::DEPARTED;
use super::source::{Out, ServiceInstance, Snapshot, Source};
use crate::etcd::client::{Compacted, Etcd, Watch};
use crate::etcd::wire::{Event, EventKind, Header, KeyValue, WatchMessage};
use crate::etcd::{ROOT, prefix, value};
use crate::fleet::registration::{Registration, Registrations};

/// Number of unreadable values that are reported.
const MAX_REPORTED: usize = 20;
/// Number of members whose farewell is remembered.
const MAX_DEPARTED: usize = 1024;

type Entries = BTreeMap<Vec<u8>, Result<Registration, String>>;
type Services = BTreeMap<Vec<u8>, ServiceInstance>;

/// The keys of a service.
pub(crate) struct Keys {
    etcd: Etcd,
    prefix: String,
    /// Every service below [`ROOT`], by key; `None`: only the gateways are read.
    services: Option<Services>,
    /// As of `revision`, by key.
    entries: Entries,
    /// The last of the members that said that they leave, and then did. A snapshot lists them as leaving: if the farewell
    /// and the deletion of a key come at once, a snapshot without it would look like a gateway that vanished.
    departed: Vec<(Vec<u8>, Registration)>,
    /// Everything up to this revision was seen; `None`: nothing.
    revision: Option<u64>,
    /// The cluster of the revision.
    cluster: Option<u64>,
    /// Whether the present connection has sent a snapshot.
    connected: bool,
}

impl Keys {
    /// # Errors
    /// [`crate::error::BadInput`]: the name of the service has a slash.
    pub(crate) fn new(etcd: Etcd, service: &str, all_services: bool) -> anyhow::Result<Self> {
        Ok(Self {
            etcd,
            prefix: prefix(service)?,
            services: all_services.then(BTreeMap::new),
            entries: Entries::new(),
            departed: Vec::new(),
            revision: None,
            cluster: None,
            connected: false,
        })
    }
}

impl Source for Keys {
    /// Tries each endpoint once.
    fn follow(&mut self, out: &Out) -> anyhow::Result<Infallible> {
        let mut errors = Vec::new();
        self.connected = false;
        for _ in 0..self.etcd.endpoints() {
            let Err(error) = self.connection(out);
            errors.push(format!("etcd at {}: {error:#}", self.etcd.endpoint()));
            self.etcd.rotate();
            if self.connected {
                bail!(errors.join("; "));
            }
        }
        // No endpoint belongs to the cluster any more: it was built again.
        if self.revision.is_none() {
            self.cluster = None;
        }
        bail!(errors.join("; "))
    }
}

impl Keys {
    /// Lists the keys unless the watch can resume, then follows it.
    fn connection(&mut self, out: &Out) -> anyhow::Result<Infallible> {
        loop {
            let listed = !self.can_resume()?;
            if listed {
                self.list()?;
            }
            match self.watch(out) {
                Err(error) if error.is::<Compacted>() && !listed => self.revision = None,
                Err(error) => return Err(error),
                Ok(never) => match never {},
            }
        }
    }

    /// Returns whether the store had, at the last revision, what was seen of it. A store that was restored from a backup may
    /// have reached that revision by other changes.
    fn can_resume(&mut self) -> anyhow::Result<bool> {
        let Some(seen) = self.revision else { return Ok(false) };
        match self.read(Some(seen)) {
            Ok((_, entries, services)) => Ok(entries == self.entries && services == self.services),
            Err(error) if error.is::<Compacted>() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, revision: Option<u64>) -> anyhow::Result<(Header, Entries, Option<Services>)> {
        let mut entries = Entries::new();
        let mut services = self.services.is_some().then(BTreeMap::new);
        let (root, prefix) = (self.root().to_owned(), self.prefix.clone());
        let header = self.etcd.list(&root, revision, |found| {
            if let Some(services) = &mut services {
                services.extend(instance(&found).map(|instance| (found.key.clone(), instance)));
            }
            if found.key.starts_with(prefix.as_bytes()) {
                entries.insert(found.key.clone(), parse(&prefix, &found));
            }
        })?;
        self.check_cluster(header)?;
        Ok((header, entries, services))
    }

    fn list(&mut self) -> anyhow::Result<()> {
        let (header, entries, services) = self.read(None)?;
        for (key, entry) in std::mem::replace(&mut self.entries, entries) {
            if !self.entries.contains_key(&key) {
                self.depart(key, entry);
            }
        }
        self.departed.retain(|(key, _)| !self.entries.contains_key(key));
        self.services = services;
        self.revision = Some(header.revision);
        Ok(())
    }

    fn watch(&mut self, out: &Out) -> anyhow::Result<Infallible> {
        let seen = self.revision.unwrap_or_default();
        let root = self.root().to_owned();
        let (first, mut watch) = self.etcd.watch(&root, seen + 1)?;
        self.check_cluster(first.header)?;
        if first.header.revision < seen {
            // The store lost changes, or this member of the cluster lags behind: a list waits for it.
            bail!(Compacted);
        }
        self.send(out)?;
        self.connected = true;
        let result = self.messages(&mut watch, out);
        let broken = |error: &anyhow::Error| {
            error.downcast_ref().is_some_and(|error: &io::Error| error.kind() != ErrorKind::FileTooLarge)
        };
        // Only a broken connection can resume; after any other error, the next list has the truth.
        if !result.as_ref().is_err_and(broken) {
            self.revision = None;
        }
        result
    }

    fn messages(&mut self, watch: &mut Watch, out: &Out) -> anyhow::Result<Infallible> {
        let mut changed = false;
        loop {
            let Some(message) = watch.next()? else {
                let root = self.root().to_owned();
                self.etcd.check(&root)?;
                continue;
            };
            let WatchMessage { header, fragment, events, .. } = message;
            // A message with events may be older than the store.
            let seen = events.iter().map(|event| event.kv.mod_revision).max().unwrap_or(header.revision);
            for event in events {
                changed |= self.apply(event);
            }
            if fragment {
                continue;
            }
            self.revision = Some(seen);
            if std::mem::take(&mut changed) {
                self.send(out)?;
            }
        }
    }

    /// Applies a change, and returns whether the members may have changed.
    fn apply(&mut self, Event { kind, kv }: Event) -> bool {
        let services_changed = self.services.as_mut().is_some_and(|services| {
            let new = instance(&kv).filter(|_| kind == EventKind::Put);
            match new {
                Some(new) => services.insert(kv.key.clone(), new.clone()).as_ref() != Some(&new),
                None => services.remove(&kv.key).is_some(),
            }
        });
        if !kv.key.starts_with(self.prefix.as_bytes()) {
            return services_changed;
        }
        let members_changed = match kind {
            EventKind::Put => {
                self.departed.retain(|(key, _)| *key != kv.key);
                let entry = parse(&self.prefix, &kv);
                let old = self.entries.get(&kv.key);
                let changed = old != Some(&entry);
                self.entries.insert(kv.key, entry);
                changed
            }
            EventKind::Delete => match self.entries.remove(&kv.key) {
                Some(entry) => {
                    self.depart(kv.key, entry);
                    true
                }
                None => false,
            },
        };
        members_changed || services_changed
    }

    /// Returns the prefix of the keys that are followed.
    fn root(&self) -> &str {
        if self.services.is_some() { ROOT } else { &self.prefix }
    }

    fn depart(&mut self, key: Vec<u8>, entry: Result<Registration, String>) {
        if let Ok(registration) = entry
            && registration.leaving
        {
            self.departed.push((key, Registration { status: DEPARTED.to_owned(), ..registration }));
            if self.departed.len() > MAX_DEPARTED {
                self.departed.remove(0);
            }
        }
    }

    /// Refuses an endpoint of another cluster than the one that is followed: two lists would take turns.
    fn check_cluster(&mut self, header: Header) -> anyhow::Result<()> {
        let known = *self.cluster.get_or_insert(header.cluster_id);
        if known == header.cluster_id {
            return Ok(());
        }
        self.revision = None;
        Err(anyhow!("belongs to the cluster {:x}, expected {known:x}; check --etcd", header.cluster_id))
    }

    fn send(&self, out: &Out) -> anyhow::Result<()> {
        let mut registrations = Registrations::default();
        let mut unreadable = 0;
        for entry in self.entries.values() {
            match entry {
                Ok(registration) => registrations.found.push(registration.clone()),
                Err(reason) => {
                    unreadable += 1;
                    if unreadable <= MAX_REPORTED {
                        registrations.unreadable.push(reason.clone());
                    }
                }
            }
        }
        if unreadable > MAX_REPORTED {
            let more = unreadable - MAX_REPORTED;
            registrations.unreadable.push(format!("{}: {more} more values cannot be read", self.prefix));
        }
        registrations.found.extend(self.departed.iter().map(|(_, registration)| registration.clone()));
        let services = self.services.iter().flat_map(BTreeMap::values).cloned().collect();
        out.send(Snapshot { services, ..registrations.into() })
    }
}

/// Reads a key `/service/{name}/{id}` of any service; `None`: it is no address.
fn instance(found: &KeyValue) -> Option<ServiceInstance> {
    let path = str::from_utf8(found.key.strip_prefix(ROOT.as_bytes())?).ok()?;
    let (service, id) = path.split_once('/').filter(|(service, _)| !service.is_empty())?;
    value::instance(service, id, &found.value)
}

fn parse(prefix: &str, found: &KeyValue) -> Result<Registration, String> {
    let id = found.key.strip_prefix(prefix.as_bytes()).unwrap_or_default();
    value::registration(id, &found.value, found.create_revision)
        .map_err(|reason| format!("{}: {reason}", value::shown_key(&found.key)))
}
