//! The process that follows the registry and publishes: consul-template or `pushring discover`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::registry::{Registry, Source};
use crate::{Layout, Process, Templates, command, process, tools};

/// A publication that is not found within this time ended before the search.
const HUNT: Duration = Duration::from_secs(3);
/// So short that a gateway that left is really away before it comes back.
const FORGET: &str = "--forget=1s";

/// Runs next to Envoy. Its supervisor starts it again whenever it ends.
#[derive(Debug)]
pub(super) struct Follower {
    templates: Templates,
    consul: SocketAddr,
    live: PathBuf,
    /// The flags of `discover`; empty: consul-template follows.
    flags: Vec<String>,
    dir: PathBuf,
    process: Option<Process>,
}

impl Follower {
    /// Publishes the first ring, before Envoy starts; `edits` replace parts of the settings.
    pub(super) fn prepare(
        dir: &Path,
        source: Source,
        layout: &Layout,
        registry: &Registry,
        edits: &[(&str, &str)],
    ) -> Result<Self> {
        let templates = Templates::install(layout, edits)?;
        let live = layout.live().to_owned();
        let (mut consul, mut flags) = (SocketAddr::from(([127, 0, 0, 1], 0)), Vec::new());
        match (source, registry) {
            (Source::ConsulTemplate, Registry::Consul(agent)) => {
                consul = agent.address;
                templates.once(consul)?;
            }
            _ => {
                flags = registry.flags();
                flags.push(format!("--live={}", live.display()));
                flags.push(format!("--settings={}", templates.settings().display()));
                let output = command::pushring(
                    ["discover", "--once"].into_iter().chain(flags.iter().map(String::as_str)),
                )?;
                ensure!(output.code == 0, "{}", output.stderr);
            }
        }
        Ok(Self { templates, consul, live, flags, dir: dir.to_owned(), process: None })
    }

    /// Starts to follow, next to this Envoy.
    pub(super) fn start(&mut self, admin: SocketAddr) -> Result<()> {
        if self.flags.is_empty() {
            self.templates.set_admin(admin)?;
        } else {
            self.flags.extend([format!("--admin=http://{admin}"), "--listen=127.0.0.1:0".to_owned()]);
            self.flags.push(FORGET.to_owned());
        }
        self.supervise()
    }

    /// Starts it again if it ended.
    pub(super) fn supervise(&mut self) -> Result<()> {
        if self.process.as_mut().is_some_and(|process| process.ended().is_none()) {
            return Ok(());
        }
        self.process = None;
        let process = if self.flags.is_empty() {
            self.templates.start(self.consul)?.process
        } else {
            let mut command = command::prepare(process::command(&tools::pushring()?));
            command.arg("discover").args(&self.flags);
            Process::start("discover", command, &self.dir)?
        };
        self.process = Some(process);
        Ok(())
    }

    /// Kills it and everything that it runs at that moment.
    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(process) = &mut self.process {
            process.kill();
        }
        self.supervise()
    }

    /// Kills the next publication `after` it was found: the `pushring publish` that consul-template starts, or `discover`
    /// itself. Returns whether something was killed.
    pub(super) fn hunt_publish(&self, after: Duration) -> JoinHandle<bool> {
        let live = self.live.clone();
        let discover = self.process.as_ref().filter(|_| !self.flags.is_empty()).map(Process::id);
        let begun = changed(&live);
        thread::spawn(move || {
            let started = Instant::now();
            while started.elapsed() < HUNT {
                let found = match discover {
                    Some(id) => {
                        i32::try_from(id).ok().and_then(Pid::from_raw).filter(|_| changed(&live) != begun)
                    }
                    None => publish_process(&live),
                };
                if let Some(pid) = found {
                    thread::sleep(after);
                    return kill_process(pid, Signal::KILL).is_ok();
                }
                thread::sleep(Duration::from_millis(1));
            }
            false
        })
    }
}

/// Returns when a file was last created in the work folder of `discover`, which it does first in a publication: it writes
/// down the members seen.
fn changed(live: &Path) -> Option<SystemTime> {
    fs::metadata(live.join(".publish")).ok()?.modified().ok()
}

/// Finds the process `pushring publish … --live <live> …`, not the shell that started it.
fn publish_process(live: &Path) -> Option<Pid> {
    let live = live.to_str()?;
    let processes = fs::read_dir("/proc").ok()?;
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter_map(Pid::from_raw).find(|pid| {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        let mut arguments = line.split('\0').skip(1);
        arguments.next() == Some("publish") && arguments.any(|argument| argument == live)
    })
}
