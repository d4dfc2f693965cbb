//! Members from a registry, by `pushring discover` next to Envoy.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use pushring::command::publish::RING_FILE;
use pushring_harness::{Layout, Process, Templates, command, process, tools};
use pushring_router::Router;
use serde_json::Value;

use crate::change::Change;
use crate::demo::{Demo, live_ring};
use crate::fleet::Fleet;
use crate::registry::{self, Place, Registry, Server, Source};
use crate::screen;

/// How long a gateway that vanished counts as registered: shorter than the default, for people who try much.
const FORGET: &str = "--forget=1m";
/// Messages of the log that are not printed.
const SILENT: [&str; 3] = ["started", "published", "ended"];

/// The registry and `pushring discover`. Dropping it stops `discover` first.
pub(crate) struct FromDiscover {
    discover: Option<Process>,
    /// The registry.
    pub(crate) registry: Box<dyn Registry>,
    /// The flags of `discover`.
    flags: Vec<String>,
    /// Number of lines of the log that were printed.
    read: usize,
    /// Duration of the last publication.
    published: Option<u64>,
    /// Servers whose end was printed.
    ended: BTreeSet<String>,
}

impl FromDiscover {
    /// Starts the registry and publishes the first ring, before Envoy starts. `settings` edits the shipped ones.
    ///
    /// # Errors
    /// If one of them fails.
    pub(crate) fn create(
        layout: &Layout,
        source: Source,
        place: &Place<'_>,
        fleet: &mut Fleet,
        settings: &[(&str, &str)],
    ) -> Result<(Self, Router)> {
        let registry = registry::start(source, place, fleet)?;
        let templates = Templates::install(layout, settings)?;
        let mut flags = registry.flags();
        flags.push(format!("--settings={}", screen::short(&templates.settings())));
        flags.push(format!("--live={}", screen::short(&layout.live())));
        screen::step("first ring, by pushring discover --once", || {
            let flags = flags.iter().map(String::as_str);
            let once = command::pushring(["discover", "--once"].into_iter().chain(flags))?;
            ensure!(once.code == 0, "pushring discover: {}", once.stderr.trim());
            Ok(())
        })?;
        let router = live_ring(layout)?;
        let ended = BTreeSet::new();
        Ok((Self { discover: None, registry, flags, read: 0, published: None, ended }, router))
    }

    /// Starts `pushring discover`.
    ///
    /// # Errors
    /// If it was not built.
    pub(crate) fn follow(&mut self, demo: &Demo) -> Result<()> {
        self.flags.extend([format!("--admin=http://{}", demo.envoy.admin), FORGET.to_owned()]);
        let mut command = command::prepare(process::command(&tools::pushring()?));
        command.arg("discover").args(&self.flags).arg("--listen=127.0.0.1:0");
        self.discover = Some(Process::start("discover", command, &demo.dir)?);
        Ok(())
    }

    /// Returns the command that the demo runs next to Envoy.
    pub(crate) fn command(&self) -> String {
        format!("pushring discover {}", self.flags.join(" "))
    }

    /// Prints what happened.
    ///
    /// # Errors
    /// If the registry cannot start a gateway.
    pub(crate) fn tick(&mut self, demo: &mut Demo) -> Result<()> {
        self.registry.tick(&mut demo.fleet)?;
        self.report_log();
        if let Some(router) = demo.new_ring() {
            // Envoy may have the ring before `discover` has logged its publication; its time is in the log.
            let Some(ms) = self.published.take() else { return Ok(()) };
            let change = Change::between(&demo.router, &router);
            screen::event(format_args!("{change}\n   {}, live in {ms} ms", change.ring()));
            if let Some(groups) = change.groups() {
                screen::line(groups);
            }
            demo.router = router;
        }
        self.report_ended(demo);
        Ok(())
    }

    fn report_log(&mut self) {
        let Some(discover) = &self.discover else { return };
        let log = discover.log();
        // The last line may be incomplete.
        let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n')).skip(self.read);
        for line in lines {
            self.read += 1;
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                screen::problem(line.trim_end());
                continue;
            };
            let files = event["files"].as_str().unwrap_or_default();
            if event["message"] == "published" && files.contains(RING_FILE) {
                self.published = event["ms"].as_u64();
            }
            if let Some(news) = news(&event) {
                let news = screen::wrap(&news, 3);
                if event["level"] == "INFO" { screen::event(news) } else { screen::problem(news) }
            }
        }
    }

    fn report_ended(&mut self, demo: &Demo) {
        let mut servers = self.registry.servers();
        if let Some(process) = &mut self.discover {
            servers.push(Server { name: "pushring discover".to_owned(), process, restart: None });
        }
        for Server { name, process, restart } in servers {
            let Some(status) = process.ended() else { continue };
            if !self.ended.insert(name.clone()) {
                continue;
            }
            match restart {
                Some(command) => {
                    screen::event(format_args!("{name} ended ({status}); start it again:"));
                    screen::command(command);
                }
                None => screen::problem(format_args!(
                    "{name} ended ({status}): the ring no longer changes;\n   see {}",
                    screen::short(&demo.dir)
                )),
            }
        }
    }
}

/// Returns a logged event as text; `None` if it is no news.
fn news(event: &Value) -> Option<String> {
    let message = event["message"].as_str().unwrap_or_default();
    if SILENT.contains(&message) {
        return None;
    }
    let field = |name: &str| event[name].as_str();
    let member = field("member").map(|member| format!("{member} ")).unwrap_or_default();
    let details = ["reason", "error", "warning"].iter().find_map(|name| field(name));
    match (message, details) {
        ("", details) => details.map(str::to_owned),
        (message, None) => Some(format!("{member}{message}")),
        (message, Some(details)) => Some(format!("{member}{message}: {details}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn turns_events_of_the_log_into_text() {
        let text = |event: Value| news(&event);
        assert_eq!(text(json!({"message": "started", "url": "x"})), None);
        assert_eq!(text(json!({"message": "left", "member": "a:1"})).unwrap(), "a:1 left");
        let held = json!({"message": "held", "reason": "1 of 3", "level": "WARN"});
        assert_eq!(text(held).unwrap(), "held: 1 of 3");
        assert_eq!(text(json!({"warning": "odd"})).unwrap(), "odd");
    }
}
