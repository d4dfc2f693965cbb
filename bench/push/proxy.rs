//! The proxies that are compared, each started on the core of its own that all of them share.

mod ablation;
pub(crate) mod envoy;
mod lua;
mod nginx_haproxy;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use ablation::Part;
use anyhow::{Context, Result, ensure};
use pushring_router::Router;
use pushring_tests::{Layout, Mode, Process, process, tools};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What is asked to spread pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Envoy's own: one cluster and a policy; the last two with a hash of `:path`.
    RoundRobin,
    RingHash,
    Maglev,
    /// The client names the cluster; Envoy's header mutation copies the name into the destination header.
    Mutation,
    /// The client sets the destination header; a filter in Wasm does nothing. Pruned as what ships: only the callbacks
    /// in its list of capabilities are called; else all that the SDK has.
    Noop {
        pruned: bool,
    },
    /// The same with a filter that makes the host calls of a push and decides nothing.
    Calls,
    /// pushring's ring in Lua, by group or by path as received.
    Lua(RouteBy),
    /// pushring as shipped, by group or by decoded path.
    Pushring(Mode, RouteBy),
    /// pushring in cluster mode without one part of what ships.
    Without(Part),
    Nginx,
    Haproxy,
}

/// What pushring routes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteBy {
    Group,
    Path,
}

/// One line of the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) members: usize,
    /// Has a turn in every round, not only in full ones.
    pub(crate) often: bool,
}

impl Variant {
    /// The header lines of each push that are this variant's own. Who has to name the gateway names the one that pushring
    /// would choose: other gateways in another order would be other connections, at another cost.
    pub(crate) fn headers(&self, gateways: &[SocketAddr], paths: &[String]) -> Result<Vec<String>> {
        let name = match self.kind {
            Kind::Noop { .. } | Kind::Calls | Kind::Without(Part::Filter) => "x-pushring-destination",
            Kind::Mutation => "x-bench-destination",
            _ => return Ok(vec![String::new(); paths.len()]),
        };
        let gateways = gateways.get(..self.members).context("too few gateways")?;
        let ring = envoy::ring(Mode::Cluster, RouteBy::Group, gateways);
        let router = Router::parse(ring.to_string().as_bytes())?;
        let header = |path: &String| {
            let owner = router.owner_of(path.as_bytes()).and_then(|owned| owned.owner).context("an owner")?;
            Ok(format!("{name}: pushgateway-{}\r\n", owner.name))
        };
        paths.iter().map(header).collect()
    }

    /// Status of a good answer.
    pub(crate) fn status(&self) -> u16 {
        if matches!(self.kind, Kind::Pushring(Mode::Redirect, _)) { 307 } else { 200 }
    }
}

/// A proxy that takes pushes.
pub(crate) struct Proxy {
    pub(crate) push: SocketAddr,
    pub(crate) running: Running,
    /// Its files, where pushring is in it.
    pub(crate) layout: Option<Layout>,
}

/// Kept for as long as it is to run.
pub(crate) enum Running {
    Envoy(Box<pushring_tests::Envoy>),
    Other(Process),
}

impl Proxy {
    /// Starts it with its files below `dir`, in front of the first `variant.members` of `gateways`.
    pub(crate) fn start(variant: &Variant, gateways: &[SocketAddr], dir: &Path) -> Result<Self> {
        let dir = dir.join(variant.name.replace([' ', ','], "-"));
        fs::create_dir_all(&dir)?;
        let gateways = gateways.get(..variant.members).context("too few gateways")?;
        match variant.kind {
            Kind::Nginx => nginx_haproxy::nginx(gateways, dir),
            Kind::Haproxy => nginx_haproxy::haproxy(gateways, dir),
            _ => envoy::start(variant.kind, gateways, dir),
        }
    }

    fn id(&self) -> u32 {
        match &self.running {
            Running::Envoy(envoy) => envoy.process.id(),
            Running::Other(process) => process.id(),
        }
    }

    /// Nanoseconds that all its threads have run so far.
    pub(crate) fn cpu(&self) -> Result<u64> {
        self.cpu_of("")
    }

    /// The same of the thread that serves requests.
    pub(crate) fn worker_cpu(&self) -> Result<u64> {
        self.cpu_of("wrk:worker_0")
    }

    /// Of threads whose name begins so.
    fn cpu_of(&self, name: &str) -> Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let task = task?.path();
            if fs::read_to_string(task.join("comm"))?.starts_with(name) {
                let text = fs::read_to_string(task.join("schedstat")).context("a kernel with schedstat")?;
                sum += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).context("schedstat")?;
            }
        }
        Ok(sum)
    }

    /// Bytes of memory that it holds.
    pub(crate) fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }
}

/// A thousand gateways, and proxies that have as many connections.
pub(crate) fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(())
}

/// The first core is the proxies', the last one ours.
pub(crate) fn take_last_core() -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).collect();
    ensure!(cores.len() > 1, "found {} core, needed 2: one for the proxy, one for the load", cores.len());
    let mut last = CpuSet::new();
    last.set(*cores.last().context("a core")?);
    sched_setaffinity(None, &last)?;
    Ok(())
}

/// Starts `program` on the first core.
fn pinned(program: &Path) -> Result<Command> {
    let mut command = process::command(Path::new("taskset"));
    command.args(["--cpu-list", "0"]).arg(program);
    ensure!(program.exists(), "{} is missing: run `make bench`, which gets it", program.display());
    Ok(command)
}

/// A file or folder that `make bench` makes.
fn made(path: &str) -> PathBuf {
    tools::repository().join("target").join(path)
}
