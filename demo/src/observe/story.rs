//! The story: faults, the alerts that they cause, and how each is repaired.

use std::time::Duration;

use anyhow::{Context, Result};
use pushring_harness::Mode;
use pushring_harness::http::Client;

use super::gateway::Gateway;
use super::ingress::Ingress;
use super::jobs::Jobs;
use super::ports::GATEWAYS;
use super::running::Running;
use crate::screen;

/// A value that is not UTF-8: a group with it makes every scrape of its gateway fail.
const POISON: &str = "/metrics/job/poison/x/%ff";
/// Time to look at a change.
const LOOK: Duration = Duration::from_secs(10);
/// Longest wait for an alert or its end, on a busy machine.
const ALERT: Duration = Duration::from_secs(120);

type Step = fn(&mut Running) -> Result<()>;

const STEPS: [(&str, Step); 7] = [
    ("scale out", scale_out),
    ("crash", crash),
    ("poison through Envoy", poison_through_envoy),
    ("poison past Envoy", poison_past_envoy),
    ("past the ring", past_the_ring),
    ("broken ring", broken_ring),
    ("scale in", scale_in),
];

/// Shows it once.
///
/// # Errors
/// [`super::running::Ended`], or a part of the fleet cannot be started again.
pub(super) fn show(running: &mut Running) -> Result<()> {
    running.pause(LOOK)?;
    for (index, (name, step)) in STEPS.into_iter().enumerate() {
        screen::heading(format_args!("{}. {}{}", index + 1, name[..1].to_uppercase(), &name[1..]));
        step(running)?;
        running.shown(name, index + 1 == STEPS.len())?;
        let (accepted, given_up) = running.jobs.counts();
        screen::event(format_args!(
            "the jobs: {accepted} pushes accepted, {given_up} given up after retries"
        ));
        running.pause(LOOK)?;
    }
    Ok(())
}

fn say(text: &str) {
    screen::event(screen::wrap(text, 3));
}

impl Running {
    fn wait_members(&mut self, count: usize) -> Result<()> {
        let has = |one: &Ingress| one.members() == Some(count);
        if self.wait(ALERT, |running| running.ingress.iter().all(has))? {
            say(&format!("both Envoys have a ring of {count} members"));
        } else {
            screen::problem(format_args!("the Envoys do not have {count} members; see docs/runbook.md"));
        }
        Ok(())
    }

    fn expect(&mut self, alert: &'static str) -> Result<()> {
        if !self.wait(ALERT, |running| running.alerts.fires(alert))? {
            screen::problem(format_args!("{alert} did not fire within {} s", ALERT.as_secs()));
        }
        Ok(())
    }

    fn expect_end(&mut self, alert: &'static str) -> Result<()> {
        if !self.wait(ALERT, |running| !running.alerts.fires(alert))? {
            screen::problem(format_args!("{alert} still fires after {} s", ALERT.as_secs()));
        }
        Ok(())
    }

    fn gateway(&mut self, index: usize) -> Result<&mut Gateway> {
        self.gateways.get_mut(index).context("no such gateway")
    }
}

fn scale_out(running: &mut Running) -> Result<()> {
    let (address, metrics) = (running.ports.gateway(GATEWAYS), running.ports.agent(GATEWAYS));
    say(&format!(
        "pushgateway {address} joins. Only the groups that it owns now move, a fifth; the sweeper deletes the old copies \
         after their next push. In the dashboard, see \"Is every group where it belongs?\"."
    ));
    let gateway = Gateway::start(&running.dir, &running.store, address, metrics)?;
    running.gateways.push(gateway);
    running.wait_members(usize::from(GATEWAYS) + 1)
}

fn crash(running: &mut Running) -> Result<()> {
    let gateway = running.gateway(1)?;
    let address = gateway.address;
    gateway.crash();
    let pushes = match running.mode {
        Mode::Endpoint => "Its pushes go to the next member at once; a trace shows both attempts.",
        _ => "Its pushes get 503 until its agent takes it off the ring, and the jobs retry.",
    };
    say(&format!("pushgateway {address} crashes. {pushes} Expect PushringGatewayDown."));
    running.expect("PushringGatewayDown")?;
    running.gateway(1)?.restart()?;
    say("it starts again, empty; its agent registers it when its check passes");
    running.expect_end("PushringGatewayDown")?;
    running.wait_members(usize::from(GATEWAYS) + 1)
}

fn poison_through_envoy(running: &mut Running) -> Result<()> {
    let envoy = running.ingress.first().context("no Envoy")?.envoy.push;
    let answer = Client::new(envoy)?.post(POISON, "a 1\n")?;
    say(&format!(
        "a job pushes a label that no scrape survives, through Envoy: {}, and no gateway sees it. Expect \
         PushringPoisonRefused (info).",
        answer.status
    ));
    running.expect("PushringPoisonRefused")
}

fn poison_past_envoy(running: &mut Running) -> Result<()> {
    let address = running.gateway(2)?.address;
    Client::new(address)?.post(POISON, "a 1\n")?;
    say(&format!(
        "the same push directly to pushgateway {address}, past the ring: it accepts it, and then fails every scrape. \
         Expect PushringGatewayPoisoned. This finds the group and prints how to delete it:"
    ));
    screen::command(format_args!(
        "target/debug/pushring groups --conflicts --config {}",
        screen::short(&running.ring())
    ));
    running.expect("PushringGatewayPoisoned")?;
    Client::new(address)?.delete(POISON)?;
    say("the group is deleted");
    running.expect_end("PushringGatewayPoisoned")
}

fn past_the_ring(running: &mut Running) -> Result<()> {
    let address = running.gateway(0)?.address;
    say(&format!(
        "a job with a fixed address pushes to pushgateway {address} past the ring, even the groups of others. Expect \
         PushringPushesPastRing."
    ));
    let stray = Jobs::stray(address);
    running.expect("PushringPushesPastRing")?;
    drop(stray);
    let envoy = running.ingress.first().context("no Envoy")?.envoy.push;
    running.repaired = Some(Jobs::stray(envoy));
    say("the job uses Envoy again; the sweeper deletes the copy when the owner has a newer one");
    running.expect_end("PushringPushesPastRing")
}

fn broken_ring(running: &mut Running) -> Result<()> {
    let second = running.ingress.get(1).context("no second Envoy")?;
    let good = second.break_ring()?;
    say(&format!(
        "somebody edits {} by hand: Envoy 2 refuses it and keeps its last ring. Expect PushringRingRefused.",
        screen::short(&second.ring())
    ));
    running.expect("PushringRingRefused")?;
    running.ingress.get(1).context("no second Envoy")?.write_ring(&good)?;
    say("the file of before is back");
    running.expect_end("PushringRingRefused")
}

fn scale_in(running: &mut Running) -> Result<()> {
    let gateway = running.gateway(usize::from(GATEWAYS))?;
    let address = gateway.address;
    gateway.leave()?;
    say(&format!(
        "the agent of pushgateway {address} ends: the gateway leaves the ring, and nothing remembers it. This hands its groups \
         over:"
    ));
    let envoys: Vec<String> =
        running.ingress.iter().map(|one| format!("--envoy http://{}", one.envoy.push)).collect();
    screen::command(format_args!(
        "target/debug/pushring drain {address} --config {} {}",
        screen::short(&running.ring()),
        envoys.join(" ")
    ));
    running.wait_members(usize::from(GATEWAYS))
}
