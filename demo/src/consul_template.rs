//! Members from a real Consul, through consul-template with the shipped templates.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use pushring_harness::{ConsulTemplate, Layout, Templates};
use pushring_router::Router;

use crate::change::{self, Change};
use crate::consul_changes::ConsulChanges;
use crate::demo::{Demo, live_ring};
use crate::registry::{ConsulAgent, Place, Registry};
use crate::screen;

/// Its folder in that of the demo.
const TEMPLATE_LOG: &str = "consul-template/consul-template.log";

/// Consul and consul-template. Dropping it stops consul-template first.
#[derive(Debug)]
pub(crate) struct FromTemplate {
    template: Option<ConsulTemplate>,
    /// The registry.
    pub(crate) consul: ConsulAgent,
    consul_ended: bool,
    templates: Templates,
    changes: ConsulChanges,
}

impl FromTemplate {
    /// Starts Consul with the Pushgateways and renders the first ring, before Envoy starts. `settings` edits the shipped ones.
    ///
    /// # Errors
    /// If one of them fails.
    pub(crate) fn create(
        layout: &Layout,
        place: &Place<'_>,
        settings: &[(&str, &str)],
    ) -> Result<(Self, Router)> {
        let consul = ConsulAgent::start(place)?;
        let templates = Templates::install(layout, settings)?;
        screen::step("first ring, by consul-template -once", || templates.once(consul.address()))?;
        let changes = ConsulChanges::new(consul.health()?);
        let new = Self { template: None, consul, consul_ended: false, templates, changes };
        Ok((new, live_ring(layout)?))
    }

    /// Starts consul-template as a daemon.
    ///
    /// # Errors
    /// If it is not installed.
    pub(crate) fn follow(&mut self, demo: &Demo) -> Result<()> {
        self.templates.set_admin(demo.envoy.admin)?;
        self.template = Some(self.templates.start(self.consul.address())?);
        Ok(())
    }

    /// Returns the command that the demo runs next to Envoy.
    pub(crate) fn command(&self) -> String {
        let (consul, hcl) = (self.consul.address(), screen::short(&self.templates.hcl()));
        format!("consul-template -consul-addr={consul} -config {hcl}")
    }

    /// Prints what happened.
    pub(crate) fn tick(&mut self, demo: &mut Demo) {
        self.report_ended(&demo.dir);
        demo.fleet.report_ended();
        // Reads the ring before its causes, so that the causes are known.
        let ring = demo.new_ring();
        if !self.consul_ended
            && let Ok(health) = self.consul.health()
        {
            self.changes.health(Instant::now(), health);
        }
        if let Some(router) = ring {
            let change = Change::between(&demo.router, &router);
            screen::event(self.changes.ring(&change));
            if let Some(groups) = change.groups() {
                screen::line(groups);
            }
            demo.router = router;
        } else if let Some(line) = self.changes.without_ring(Instant::now(), &change::names(&demo.router)) {
            screen::event(line);
        }
    }

    fn report_ended(&mut self, dir: &Path) {
        let report = |name: &str, status, log: &str| {
            let log = screen::short(&dir.join(log));
            screen::problem(format_args!("{name} ended ({status}): the ring no longer changes; see {log}"));
        };
        for server in self.consul.servers() {
            if !self.consul_ended
                && let Some(status) = server.process.ended()
            {
                report(&server.name, status, "consul.log");
                self.consul_ended = true;
            }
        }
        if let Some(status) = self.template.as_mut().and_then(|template| template.process.ended()) {
            report("consul-template", status, TEMPLATE_LOG);
            self.template = None;
        }
    }
}
