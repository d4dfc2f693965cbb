//! Commands that run next to Envoy until the demo ends: `pushring serve` and the sweeper.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use pushring_harness::http::Client;
use pushring_harness::{Mode, Process, command, process, tools};

use crate::demo::Demo;
use crate::screen;

/// A running `pushring`. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Companion {
    process: Process,
    /// For the user, without the path of the program.
    command: String,
    /// Printed in front of the command.
    pub(crate) purpose: &'static str,
    ended: bool,
}

impl Companion {
    /// Starts `pushring` with these arguments.
    ///
    /// # Errors
    /// If it was not built.
    pub(crate) fn start(demo: &Demo, purpose: &'static str, args: &[&str]) -> Result<Self> {
        let mut command = command::prepare(process::command(&tools::pushring()?));
        command.args(args);
        let name = args.first().context("no subcommand")?;
        let process = Process::start(name, command, &demo.dir)?;
        Ok(Self { process, command: format!("pushring {}", args.join(" ")), purpose, ended: false })
    }

    /// Returns the command.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    /// Prints its end, once.
    pub(crate) fn report_ended(&mut self) {
        let Some(status) = self.process.ended().filter(|_| !self.ended) else { return };
        self.ended = true;
        screen::problem(format_args!("this command ended ({status}); its log is {}:", self.log()));
        screen::command(&self.command);
    }

    fn log(&self) -> String {
        screen::short(self.process.log_file())
    }
}

/// Starts `pushring serve` and waits until the page is at the address of pushes; in redirect mode, in which Envoy forwards
/// nothing, until it is at its own.
///
/// # Errors
/// If it does not become ready.
pub(crate) fn serve(demo: &Demo, address: SocketAddr) -> Result<Companion> {
    let page = page(demo, address);
    let config = screen::short(&demo.layout.live().join("ring.yaml"));
    screen::step(format_args!("pushring serve at {address}"), || {
        let args = ["serve", "--config", &config, "--listen", &address.to_string()];
        let purpose = "This process answers for all Pushgateways, as one Pushgateway does:";
        let mut serve = Companion::start(demo, purpose, &args)?;
        let client = Client::new(page)?;
        let ready = |_: &Process| client.get("/").ok().filter(|answer| answer.status == 200);
        serve.process.wait_until("to be found by Envoy", ready)?;
        Ok(serve)
    })
}

/// Returns the address of the page.
pub(crate) fn page(demo: &Demo, serve: SocketAddr) -> SocketAddr {
    if demo.layout.mode() == Mode::Redirect { serve } else { demo.envoy.push }
}
