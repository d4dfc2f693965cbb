//! Members from Consul, by blocking queries: the agent answers as soon as something changed.
//!
//! Each datacenter has a thread of its own. The first snapshot needs all of them; a datacenter that cannot be read later keeps
//! its last list, and the others are followed on. consul-template does the same.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::source::{Out, Snapshot, Source};
use crate::consul::client::Consul as Client;
use crate::fleet::members::ConsulSettings;
use crate::fleet::registration::Registrations;

/// Shortest time between answers that change nothing.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// Pause after an error.
const RETRY: Duration = Duration::from_secs(1);

/// The gateways of a service in Consul.
pub(crate) struct Consul {
    client: Client,
    service: ConsulSettings,
    datacenters: Vec<Datacenter>,
    /// From the threads; `None` before the first use.
    answers: Option<Receiver<(usize, Answer)>>,
    /// The threads end when it is dropped.
    alive: Arc<()>,
}

type Answer = Result<Registrations, String>;

/// A datacenter as last read.
struct Datacenter {
    /// `None`: the agent's own.
    name: Option<String>,
    found: Option<Registrations>,
    /// Why it cannot be read now.
    away: Option<String>,
}

impl Consul {
    pub(crate) fn new(client: Client, service: ConsulSettings) -> Self {
        let names: Vec<_> = match service.datacenters.as_slice() {
            [] => vec![None],
            names => names.iter().cloned().map(Some).collect(),
        };
        let datacenters = names.into_iter().map(|name| Datacenter { name, found: None, away: None });
        Self { client, service, datacenters: datacenters.collect(), answers: None, alive: Arc::default() }
    }

    fn start(&self) -> anyhow::Result<Receiver<(usize, Answer)>> {
        let (sender, answers) = channel();
        for (index, datacenter) in self.datacenters.iter().enumerate() {
            let follower = Follower {
                client: self.client.clone(),
                service: self.service.clone(),
                datacenter: datacenter.name.clone(),
                alive: Arc::downgrade(&self.alive),
            };
            let sender = sender.clone();
            thread::Builder::new().name("consul".to_owned()).spawn(move || follower.run(index, &sender))?;
        }
        Ok(answers)
    }
}

impl Source for Consul {
    fn follow(&mut self, out: &Out) -> anyhow::Result<Infallible> {
        let answers = match self.answers.take() {
            Some(answers) => answers,
            None => self.start()?,
        };
        let answers = self.answers.insert(answers);
        loop {
            let (index, answer) = answers.recv().context("the threads of Consul's datacenters ended")?;
            let datacenter = &mut self.datacenters[index];
            match answer {
                Ok(found) => (datacenter.found, datacenter.away) = (Some(found), None),
                Err(reason) => datacenter.away = Some(reason),
            }
            if let Some(snapshot) = snapshot(&self.datacenters)? {
                out.send(snapshot)?;
            }
        }
    }
}

/// Returns everything that is known, once every datacenter was read.
///
/// # Errors
/// The reasons, if no datacenter can be read now, or one never could.
fn snapshot(datacenters: &[Datacenter]) -> anyhow::Result<Option<Snapshot>> {
    let away: Vec<String> = datacenters.iter().filter_map(Datacenter::away).collect();
    let reason = (!away.is_empty()).then(|| away.join("; "));
    let known: Option<Vec<_>> = datacenters.iter().map(|one| one.found.as_ref()).collect();
    match (reason, known) {
        (Some(reason), None) => bail!(reason),
        (Some(reason), _) if away.len() == datacenters.len() => bail!(reason),
        (_, None) => Ok(None),
        (away, Some(known)) => {
            let mut registrations = Registrations::default();
            known.into_iter().for_each(|found| registrations.extend(found.clone()));
            Ok(Some(Snapshot { registrations, away, ..Snapshot::default() }))
        }
    }
}

impl Datacenter {
    fn away(&self) -> Option<String> {
        let reason = self.away.as_ref()?;
        Some(match &self.name {
            Some(name) => format!("datacenter {name}: {reason}"),
            None => reason.clone(),
        })
    }
}

/// Follows one datacenter.
struct Follower {
    client: Client,
    service: ConsulSettings,
    datacenter: Option<String>,
    alive: Weak<()>,
}

impl Follower {
    /// Sends each list and each reason that differs from the last one, until the source ends.
    fn run(&self, number: usize, sender: &Sender<(usize, Answer)>) {
        let mut last = None;
        while self.alive.strong_count() > 0 {
            let asked = Instant::now();
            let (answer, index) = match self.read() {
                Ok((found, index)) => (Ok(found), Some(index)),
                Err(error) => (Err(format!("{error:#}")), None),
            };
            let is_new = last.as_ref() != Some(&answer);
            if is_new && sender.send((number, answer.clone())).is_err() {
                return;
            }
            last = Some(answer);
            match index
                .map(|index| self.client.wait(&self.service.service, self.datacenter.as_deref(), index))
            {
                Some(Ok(())) if is_new => {}
                // Consul wakes a query also for other reasons than a change of the list. After an error, reading the list
                // again says why.
                Some(_) => thread::sleep(MIN_INTERVAL.saturating_sub(asked.elapsed())),
                None => thread::sleep(RETRY),
            }
        }
    }

    fn read(&self) -> anyhow::Result<(Registrations, u64)> {
        let ConsulSettings { service, tags, .. } = &self.service;
        self.client.indexed_registrations(service, self.datacenter.as_deref(), tags)
    }
}
