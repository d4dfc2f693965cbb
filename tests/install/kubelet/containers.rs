//! One container of a pod: a process that is started, probed, restarted and ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pushring_harness::{Process, machine, process};
use rustix::process::Signal;
use serde_json::Value;

use super::probes::{self, Probe, Verdict};
use super::volumes::Volumes;
use super::{Api, environment, images, list, root, text};

/// The pause before a container that ended starts again.
const BACKOFF: Duration = Duration::from_secs(1);

/// When a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Before the others, to its end.
    Init,
    /// As an init container that keeps running.
    Sidecar,
    Main,
}

/// How far the end of a container is.
enum Ending {
    /// `preStop` runs.
    Exec(Process),
    Sleep(Instant),
    /// SIGTERM was sent.
    Signaled,
}

/// The pod as its containers see it.
pub(crate) struct Place<'a> {
    pub(crate) api: &'a Api,
    pub(crate) pod: &'a Value,
    pub(crate) volumes: &'a Volumes,
    pub(crate) folder: &'a Path,
    pub(crate) names: &'a Path,
    pub(crate) machine: &'a str,
    pub(crate) ip: &'a str,
}

pub(crate) struct Container {
    pub(crate) spec: Value,
    pub(crate) kind: Kind,
    pub(crate) process: Option<Process>,
    /// How it ended last.
    pub(crate) ended: Option<ExitStatus>,
    pub(crate) starts: u64,
    pub(crate) started_at: String,
    pub(crate) started: bool,
    pub(crate) ready: bool,
    next_start: Instant,
    probes: [Option<Probe>; 3],
    ending: Option<Ending>,
}

impl Container {
    /// Returns the containers of a pod in the order in which they start.
    pub(crate) fn all(pod: &Value) -> Vec<Self> {
        let init = list(&pod["spec"]["initContainers"]).iter().map(|spec| {
            let kind = if spec["restartPolicy"] == "Always" { Kind::Sidecar } else { Kind::Init };
            Self::new(spec, kind)
        });
        init.chain(list(&pod["spec"]["containers"]).iter().map(|spec| Self::new(spec, Kind::Main))).collect()
    }

    fn new(spec: &Value, kind: Kind) -> Self {
        Self {
            spec: spec.clone(),
            kind,
            process: None,
            ended: None,
            starts: 0,
            started_at: String::new(),
            started: false,
            ready: false,
            next_start: Instant::now(),
            probes: [None, None, None],
            ending: None,
        }
    }

    /// Notices its end.
    pub(crate) fn reap(&mut self) {
        if let Some(status) = self.process.as_mut().and_then(Process::ended) {
            let tail = self.process.as_ref().filter(|_| !status.success()).map(Process::tail);
            println!("{} ended with {status}\n{}", text(&self.spec["name"]), tail.unwrap_or_default());
            (self.ended, self.process, self.ending) = (Some(status), None, None);
            (self.started, self.ready) = (false, false);
            self.next_start = Instant::now() + BACKOFF;
        }
    }

    /// Starts it unless it runs, or must not run again.
    pub(crate) fn start(&mut self, place: &Place<'_>) -> Result<()> {
        let policy = match self.kind {
            Kind::Sidecar => "Always",
            Kind::Main => place.pod["spec"]["restartPolicy"].as_str().unwrap_or("Always"),
            Kind::Init => "OnFailure",
        };
        let again = match self.ended {
            None => true,
            Some(status) => policy == "Always" || (policy == "OnFailure" && !status.success()),
        };
        if self.process.is_some() || !again || Instant::now() < self.next_start {
            return Ok(());
        }
        let name = text(&self.spec["name"]);
        self.process = Some(self.run(&name, place).with_context(|| format!("container {name}"))?);
        self.starts += 1;
        self.started_at = jiff::Timestamp::now().to_string();
        self.probes =
            ["startupProbe", "readinessProbe", "livenessProbe"].map(|name| Probe::new(&self.spec[name]));
        self.started = self.probes[0].is_none();
        self.ready = self.started && self.probes[1].is_none();
        Ok(())
    }

    fn run(&self, name: &str, place: &Place<'_>) -> Result<Process> {
        let image = images::find(&text(&self.spec["image"]))?;
        let variables = environment::variables(place.api, place.pod, &self.spec, place.ip)?;
        let mut words: Vec<String> = list(&self.spec["command"]).iter().map(text).collect();
        if words.is_empty() {
            if !image.is_entrypoint {
                bail!("the test starts this image only with a command");
            }
            words.push(image.path.to_owned());
        }
        words.extend(list(&self.spec["args"]).iter().map(text));
        let words: Vec<String> = words.iter().map(|word| environment::expand(word, &variables)).collect();
        let root: PathBuf = place.folder.join(format!("{name}.root"));
        fs::create_dir_all(&root)?;
        let parts = (place.pod, &self.spec);
        let script = root::script((&root, place.names), &image, parts, place.volumes, (&variables, &words))?;
        let file = place.folder.join(format!("{name}.sh"));
        fs::write(&file, script)?;
        let mut command = machine::on(place.machine, Path::new("unshare"));
        command.args(["--mount", "--", "sh", "-e"]).arg(file);
        Process::start(name, command, place.folder)
    }

    /// Probes it, and kills it if a probe says so.
    pub(crate) fn probe(&mut self, ip: &str) -> Result<()> {
        if self.process.is_none() {
            return Ok(());
        }
        let spec = &self.spec;
        let mut run = |index: usize| match &mut self.probes[index] {
            Some(probe) => probe.run(ip, spec),
            None => Ok(None),
        };
        let mut kill = None;
        if !self.started {
            match run(0)? {
                Some(Verdict::Success) => {
                    (self.started, self.ready) = (true, self.spec["readinessProbe"].is_null())
                }
                Some(Verdict::Failure) => kill = Some("startup"),
                None => {}
            }
        } else {
            if let Some(verdict) = run(1)? {
                self.ready = verdict == Verdict::Success;
            }
            if run(2)? == Some(Verdict::Failure) && self.ending.is_none() {
                kill = Some("liveness");
            }
        }
        if let (Some(probe), Some(process)) = (kill, &mut self.process) {
            println!("{}: {probe} probe failed\n{}", text(&self.spec["name"]), process.tail());
            process.kill();
        }
        Ok(())
    }

    /// Ends it step by step: `preStop`, SIGTERM, and SIGKILL after the deadline. Returns whether it has ended.
    pub(crate) fn end(&mut self, place: &Place<'_>, deadline: Instant) -> Result<bool> {
        self.reap();
        let Some(process) = &mut self.process else { return Ok(true) };
        let done = match &mut self.ending {
            None => {
                self.ending = pre_stop(&self.spec, process, place)?;
                self.ending.is_none()
            }
            Some(Ending::Exec(hook)) => hook.ended().is_some(),
            Some(Ending::Sleep(until)) => Instant::now() >= *until,
            Some(Ending::Signaled) => false,
        };
        if done {
            process.signal(Signal::TERM);
            self.ending = Some(Ending::Signaled);
        }
        if Instant::now() >= deadline {
            println!("{} exceeds its grace period", text(&self.spec["name"]));
            process.kill();
        }
        Ok(false)
    }
}

/// Starts the `preStop` hook; `None` if there is none, or it is done.
fn pre_stop(spec: &Value, process: &Process, place: &Place<'_>) -> Result<Option<Ending>> {
    let hook = &spec["lifecycle"]["preStop"];
    if hook.is_null() {
        return Ok(None);
    }
    if let Some(seconds) = hook["sleep"]["seconds"].as_u64() {
        return Ok(Some(Ending::Sleep(Instant::now() + Duration::from_secs(seconds))));
    }
    if !hook["exec"].is_null() {
        let mut command = process::command(Path::new("nsenter"));
        command.args([&format!("--target={}", process.id()), "--mount", "--net", "--root", "--wd=/", "--"]);
        command.args(list(&hook["exec"]["command"]).iter().map(text));
        let name = format!("{}-preStop", text(&spec["name"]));
        return Ok(Some(Ending::Exec(Process::start(&name, command, place.folder)?)));
    }
    probes::ask(hook, place.ip, spec, Duration::from_secs(10))?;
    Ok(None)
}
