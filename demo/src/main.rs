//! `make run`: starts real Pushgateways behind a real Envoy with the shipped configuration, pushes, and shows which
//! gateway stores which group. Runs until Ctrl-C, then stops all processes; all its files are in its own folder.
//!
//! Exit codes: 0 stopped by Ctrl-C or a signal, 1 an error, 2 wrong usage.

mod change;
mod consul_changes;
mod demo;
mod fleet;
mod from_consul;
mod from_file;
mod groups;
mod guide;
mod ports;
mod screen;
mod state;
mod table;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use pushring_harness::{Layout, Mode, envoy_dir, tools};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use change::count;
use demo::Demo;
use fleet::Fleet;
use from_consul::FromConsul;
use from_file::FromFile;
use ports::Ports;
use state::State;

/// Pause between two checks of files and processes.
const TICK: Duration = Duration::from_millis(50);

/// Real Pushgateways behind a real Envoy, to try pushring
#[derive(Debug, Parser)]
struct Options {
    /// Number of Pushgateways at the start
    #[arg(long, default_value_t = 3, value_name = "1..50", value_parser = clap::value_parser!(u16).range(1..=50))]
    gateways: u16,
    /// How Envoy routes a push to its owner
    #[arg(long, value_enum, default_value_t = Mode::Cluster)]
    mode: Mode,
    /// Take the members from a real Consul instead of a file
    #[arg(long)]
    consul: bool,
    /// First port, for pushes; the others follow it. 0: any free ports
    #[arg(long, default_value_t = 19_091, value_parser = clap::value_parser!(u16).range(..=65_000))]
    port: u16,
    /// Folder for all files of the demo [default: target/run]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// The source of the members.
enum Members {
    File(Box<FromFile>),
    Consul(Box<FromConsul>),
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::heading("The demo failed");
            screen::problem(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let stop = stop_signals()?;
    let state = State::open(&options.dir.clone().unwrap_or_else(|| tools::repository().join("target/run")))?;
    let ports = Ports::choose(options.port, options.gateways, options.consul)?;
    let Some((mut demo, mut members)) = start(options, &state, ports, &stop)? else { return Ok(()) };

    groups::push(demo.envoy.push)?;
    let found = table::ask(&demo.gateways())?;
    screen::heading(format_args!(
        "Pushed {}, each in several spellings. Groups on each Pushgateway, from its /api/v1/metrics:",
        count(groups::GROUPS.len(), "group")
    ));
    screen::line(table::table(&found).trim_fmt());
    screen::line(format_args!("  {}", table::verdict(&found)?));

    guide::pushes(&demo);
    guide::pages(&demo);
    match &members {
        Members::File(file) => guide::members_file(&demo, &file.path, ports.next_gateway()),
        Members::Consul(consul) => guide::consul(&demo, consul.address, ports.next_gateway()),
    }
    guide::clean_up(&demo);
    screen::heading("Running. Press Ctrl-C to stop. Events:");
    while !stop.load(Ordering::Relaxed) {
        demo.report_ended()?;
        match &mut members {
            Members::File(file) => file.tick(&mut demo),
            Members::Consul(consul) => consul.tick(&mut demo),
        }
        std::thread::sleep(TICK);
    }
    // consul-template and Envoy stop first, so that neither reacts to missing Pushgateways.
    drop(members);
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
) -> Result<Option<(Demo, Members)>> {
    let Options { mode, consul, .. } = options;
    screen::heading(format_args!(
        "pushring: {} behind Envoy, mode {mode}, members from {}",
        count(options.gateways.into(), "pushgateway"),
        if *consul { "Consul" } else { "a file" }
    ));
    let gateways = ports.gateways();
    let mut fleet = Fleet::new(&state.dir);
    let names =
        format!("pushgateways from {}", gateways.first().map(ToString::to_string).unwrap_or_default());
    screen::step(names, || gateways.iter().try_for_each(|address| fleet.start(*address)))?;
    let envoy_ports =
        envoy_dir::Ports { push: ports.push(), operator: ports.operator(), admin: ports.admin() };
    let layout = Layout::create(&state.dir, *mode, envoy_ports)?;
    let (mut members, router) = if *consul {
        let (consul, router) = FromConsul::create(&layout, &state.dir, ports.consul(), &gateways)?;
        (Members::Consul(Box::new(consul)), router)
    } else {
        let (file, router) = FromFile::create(&layout, &state.dir, &gateways)?;
        (Members::File(Box::new(file)), router)
    };
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let envoy =
        screen::step(format_args!("Envoy at 127.0.0.1:{}", ports.push()), || demo::start_envoy(&layout))?;
    if let Members::Consul(consul) = &mut members {
        consul.follow(envoy.admin)?;
    }
    let demo = Demo { envoy, fleet, layout, dir: state.dir.clone(), router };
    if demo.digest() != Some(demo.router.digest()) {
        bail!("the ring in Envoy is not the written one; {}", demo.envoy.process.tail());
    }
    Ok(Some((demo, members)))
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
