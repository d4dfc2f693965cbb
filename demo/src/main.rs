//! `make run`: real pushgateways behind a real Envoy with the configuration that ships, some pushes, and a table of who
//! got what. Runs until Ctrl-C and leaves no process, and no file but in its own folder.
//!
//! Exit codes: 0 ended by Ctrl-C or a signal, 1 something failed, 2 bad usage.

mod change;
mod demo;
mod fleet;
mod from_consul;
mod from_file;
mod groups;
mod guide;
mod ports;
mod screen;
mod state;
mod story;
mod table;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use pushring_harness::{Layout, Mode, layout, tools};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use change::count;
use demo::Demo;
use fleet::Fleet;
use from_consul::FromConsul;
use from_file::FromFile;
use ports::Ports;
use state::State;

/// From one look at files and processes to the next.
const TICK: Duration = Duration::from_millis(50);

/// Real pushgateways behind a real Envoy, to play with.
#[derive(Debug, Parser)]
struct Options {
    /// Pushgateways to start with
    #[arg(long, default_value_t = 3, value_name = "1..50", value_parser = clap::value_parser!(u16).range(1..=50))]
    gateways: u16,
    /// How Envoy gets a push to its owner
    #[arg(long, value_enum, default_value_t = Mode::Cluster)]
    mode: Mode,
    /// Members come from a real Consul instead of a file
    #[arg(long)]
    consul: bool,
    /// First of the ports: pushes go there; the others follow. 0: any that are free
    #[arg(long, default_value_t = 19_091, value_parser = clap::value_parser!(u16).range(..=65_000))]
    port: u16,
    /// Folder for all that the demo writes [default: target/run]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Where members come from.
enum Members {
    File(Box<FromFile>),
    Consul(Box<FromConsul>),
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::heading("The demo ends");
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
        "Pushed {}, each in several spellings; then asked every pushgateway what it holds (/api/v1/metrics):",
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
    screen::heading("Running; Ctrl-C ends it. What happens is told here:");
    while !stop.load(Ordering::Relaxed) {
        demo.report_ended()?;
        match &mut members {
            Members::File(file) => file.tick(&mut demo),
            Members::Consul(consul) => consul.tick(&mut demo),
        }
        std::thread::sleep(TICK);
    }
    // consul-template and Envoy first, so that neither sees pushgateways go.
    drop(members);
    drop(demo);
    screen::line(format_args!("\nEnded: no process is left, logs are in {}", screen::short(&state.dir)));
    Ok(())
}

/// Starts everything; nothing when the reader does not want it any more.
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
    let envoy_ports = layout::Ports { push: ports.push(), operator: ports.operator(), admin: ports.admin() };
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
        bail!("Envoy serves another ring than the one that was written; {}", demo.envoy.process.tail());
    }
    Ok(Some((demo, members)))
}

/// Set by Ctrl-C, a polite kill or a closed terminal. A second one ends the demo on the spot; the system then kills what
/// it started.
fn stop_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
