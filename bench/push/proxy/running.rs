//! A running proxy, the core that it is pinned to, and its use of CPU and memory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use pushring_harness::{Envoy, Layout, Process, process, tools};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A running proxy; stopped when dropped.
pub(crate) struct Proxy {
    pub(crate) push: SocketAddr,
    pub(super) running: Running,
}

pub(super) enum Running {
    Envoy(Box<Envoy>, Layout),
    Other(Process),
}

impl Proxy {
    /// Returns the Envoy and its files; fails for other proxies.
    pub(crate) fn envoy(&self) -> Result<(&Envoy, &Layout)> {
        match &self.running {
            Running::Envoy(envoy, layout) => Ok((envoy, layout)),
            Running::Other(_) => bail!("this proxy is not Envoy"),
        }
    }

    fn id(&self) -> u32 {
        match &self.running {
            Running::Envoy(envoy, _) => envoy.process.id(),
            Running::Other(process) => process.id(),
        }
    }

    /// Returns the CPU time of all its threads, in nanoseconds.
    pub(crate) fn cpu(&self) -> Result<u64> {
        self.cpu_of("")
    }

    /// Returns the CPU time of the thread that serves requests, in nanoseconds.
    pub(crate) fn worker_cpu(&self) -> Result<u64> {
        self.cpu_of("wrk:worker_0")
    }

    /// Sums the CPU time of all threads whose name starts with `name`.
    fn cpu_of(&self, name: &str) -> Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let task = task?.path();
            if fs::read_to_string(task.join("comm"))?.starts_with(name) {
                let text =
                    fs::read_to_string(task.join("schedstat")).context("this kernel has no schedstat")?;
                sum += text
                    .split(' ')
                    .next()
                    .and_then(|ns| ns.parse::<u64>().ok())
                    .context("schedstat does not start with a number")?;
            }
        }
        Ok(sum)
    }

    /// Returns its resident memory in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        process::memory(self.id(), "VmRSS")
    }
}

/// Raises the limit of open files, for a thousand gateways with several connections each.
pub(crate) fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(())
}

/// Pins this thread to the last core; proxies run on the first one.
pub(crate) fn take_last_core() -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).collect();
    ensure!(
        cores.len() > 1,
        "found {} core, expected at least 2: one for the proxy, one for the load",
        cores.len()
    );
    let mut last = CpuSet::new();
    last.set(*cores.last().context("no core")?);
    sched_setaffinity(None, &last)?;
    Ok(())
}

/// Returns a command that runs `program` on the first core.
pub(super) fn pinned(program: &Path) -> Result<Command> {
    let mut command = process::command(Path::new("taskset"));
    command.args(["--cpu-list", "0"]).arg(program);
    ensure!(program.exists(), "{} does not exist; run `make bench`, which installs it", program.display());
    Ok(command)
}

/// Returns the path of a file that `make bench` builds or downloads.
pub(crate) fn made(path: &str) -> PathBuf {
    tools::repository().join("target").join(path)
}
