//! `make run`: starts real Pushgateways behind a real Envoy with the shipped configuration, pushes, and shows which
//! gateway stores which group. Runs until Ctrl-C, then stops all processes; all its files are in its own folder.
//!
//! `pushring-demo observe` is the program behind `make observe`, `pushring-demo index` that behind `make run INDEX=1`.
//!
//! Exit codes: 0 stopped by Ctrl-C or a signal, 1 an error, 2 wrong usage.

mod change;
mod companion;
mod consul_changes;
mod consul_template;
mod demo;
mod fleet;
mod from_discover;
mod groups;
mod guide;
mod index;
mod observe;
mod ports;
mod registry;
mod replicas;
mod screen;
mod state;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use pushring_harness::{Layout, Mode, Module, envoy_dir, network, tools};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use change::count;
use companion::Companion;
use consul_template::FromTemplate;
use demo::Demo;
use fleet::Fleet;
use from_discover::FromDiscover;
use ports::Ports;
use registry::{Place, Registry, Source};
use state::State;

/// Pause between two checks of files and processes.
const TICK: Duration = Duration::from_millis(50);

/// Real Pushgateways behind a real Envoy, to try pushring
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Observe(observe::ObserveOptions),
    Index(index::IndexOptions),
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Number of Pushgateways at the start
    #[arg(long, default_value_t = 3, value_name = "1..50", value_parser = clap::value_parser!(u16).range(1..=50))]
    gateways: u16,
    /// How Envoy routes a push to its owner
    #[arg(long, value_enum, default_value_t = Mode::Cluster)]
    mode: Mode,
    /// Where the members come from
    #[arg(long, value_enum, default_value_t = Source::File)]
    source: Source,
    /// Number of copies of each group: with 2, each has a replica, and the demo kills an owner
    #[arg(long, default_value_t = 1, value_name = "1..2", value_parser = clap::value_parser!(u16).range(1..=2))]
    replicas: u16,
    /// First port, for pushes; the others follow it. 0: any free ports
    #[arg(long, default_value_t = 19_091, value_parser = clap::value_parser!(u16).range(..=65_000))]
    port: u16,
    /// Folder for all files of the demo [default: target/run]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// The process that follows the members.
enum Follower {
    Discover(Box<FromDiscover>),
    Template(Box<FromTemplate>),
}

impl Follower {
    fn follow(&mut self, demo: &Demo) -> Result<()> {
        match self {
            Self::Discover(discover) => discover.follow(demo),
            Self::Template(template) => template.follow(demo),
        }
    }

    fn command(&self) -> String {
        match self {
            Self::Discover(discover) => discover.command(),
            Self::Template(template) => template.command(),
        }
    }

    fn registry(&self) -> &dyn Registry {
        match self {
            Self::Discover(discover) => discover.registry.as_ref(),
            Self::Template(template) => &template.consul,
        }
    }

    fn tick(&mut self, demo: &mut Demo) -> Result<()> {
        match self {
            Self::Discover(discover) => discover.tick(demo)?,
            Self::Template(template) => template.tick(demo),
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Some(Command::Observe(options)) => stop_signals().and_then(|stop| observe::run(options, stop)),
        Some(Command::Index(options)) => stop_signals().and_then(|stop| index::run(options, &stop)),
        None => run(&cli.options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::heading("The demo failed");
            screen::problem(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if options.source == Source::Kubernetes {
        network::enter()?;
        network::add(registry::PODS)?;
    }
    let stop = stop_signals()?;
    let state = State::open(&options.dir.clone().unwrap_or_else(|| tools::repository().join("target/run")))?;
    let ports = Ports::choose(options.port, options.gateways, options.source)?;
    let Some((mut demo, mut follower, serve)) = start(options, &state, ports, &stop)? else { return Ok(()) };

    groups::push(demo.envoy.push)?;
    let found = replicas::wait(&demo, options.replicas)?;
    screen::heading(format_args!(
        "Pushed {}, each in several spellings; where they are:",
        count(groups::GROUPS.len(), "group")
    ));
    screen::line(table::table(&found).trim_fmt());
    screen::line(format_args!("  {}", table::verdict(&found, options.replicas)?));
    let mut servers = vec![serve];
    if options.replicas > 1 {
        servers.push(replicas::start_sweeper(&demo)?);
        if options.source != Source::Kubernetes {
            replicas::kill_an_owner(&mut demo)?;
        }
    }

    guide::network(follower.registry());
    guide::pushes(&demo);
    let page = companion::page(&demo, ports.serve());
    guide::pages(&demo, page, &servers, follower.registry(), &follower.command());
    guide::members(&demo, follower.registry());
    guide::clean_up(&demo);
    screen::heading("Running. Press Ctrl-C to stop. Events:");
    while !stop.load(Ordering::Relaxed) {
        demo.check_envoy()?;
        follower.tick(&mut demo)?;
        servers.iter_mut().for_each(Companion::report_ended);
        std::thread::sleep(TICK);
    }
    // The process that follows the members and Envoy stop first, so that neither reacts to missing Pushgateways.
    drop(follower);
    drop(servers);
    drop(demo);
    screen::line(format_args!("\nStopped: all processes have ended. Logs: {}", screen::short(&state.dir)));
    Ok(())
}

/// Starts all servers; returns `None` if the user stopped the demo in the meantime.
fn start(
    options: &Options,
    state: &State,
    ports: Ports,
    stop: &AtomicBool,
) -> Result<Option<(Demo, Follower, Companion)>> {
    let Options { mode, source, .. } = options;
    let settings = replicas::settings(options)?;
    screen::heading(format_args!(
        "pushring: {}, mode {mode}, members from {}{}",
        count(options.gateways.into(), "pushgateway"),
        source.names().0,
        if Module::chosen() == Module::Native { ", native module" } else { "" }
    ));
    let gateways = ports.gateways();
    let mut fleet = Fleet::new(&state.dir);
    let names =
        format!("pushgateways from {}", gateways.first().map(ToString::to_string).unwrap_or_default());
    let spare = ports.spare();
    if *source != Source::Kubernetes {
        screen::step(names, || {
            gateways.iter().chain([&spare]).try_for_each(|address| fleet.start(*address))
        })?;
    }
    let envoy_ports = envoy_dir::Ports {
        push: ports.push(),
        operator: ports.operator(),
        admin: ports.admin(),
        ..Default::default()
    };
    let layout = Layout::create(&state.dir, *mode, envoy_ports)?;
    if *mode != Mode::Redirect {
        layout.serve_at(ports.serve())?;
    }
    let place = Place { dir: &state.dir, ports: ports.registry(), gateways: &gateways };
    let (mut follower, router) = if *source == Source::ConsulTemplate {
        let (template, router) = FromTemplate::create(&layout, &place, settings)?;
        (Follower::Template(Box::new(template)), router)
    } else {
        let (discover, router) = FromDiscover::create(&layout, *source, &place, &mut fleet, settings)?;
        (Follower::Discover(Box::new(discover)), router)
    };
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let envoy =
        screen::step(format_args!("Envoy at 127.0.0.1:{}", ports.push()), || demo::start_envoy(&layout))?;
    let demo = Demo { envoy, fleet, spare, layout, dir: state.dir.clone(), router };
    follower.follow(&demo)?;
    if demo.digest() != Some(demo.router.digest()) {
        bail!("the ring in Envoy is not the written one; {}", demo.envoy.process.tail());
    }
    let serve = companion::serve(&demo, ports.serve())?;
    Ok(Some((demo, follower, serve)))
}

/// Returns a flag that Ctrl-C, SIGTERM or a closed terminal sets. A second signal ends the demo at once, and the
/// system kills its processes.
fn stop_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
