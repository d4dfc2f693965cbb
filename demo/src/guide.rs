//! Prints what the user can try. Each command works as printed in the folder of the repository.

use std::net::SocketAddr;

use pushring_harness::Mode;

use crate::companion::Companion;
use crate::demo::Demo;
use crate::fleet::start_command;
use crate::registry::{Registry, Step};
use crate::screen::{self, command, heading, line, short, text};

/// Prints how to push and how to look up owners.
pub(crate) fn pushes(demo: &Demo) {
    let mode = demo.layout.mode();
    let base = format!("http://{}", demo.envoy.push);
    // Only curl has to follow redirects explicitly.
    let follow = if mode == Mode::Redirect { "-L " } else { "" };
    let code = "-w '%{http_code}\\n'";
    let group = format!("{base}/metrics/job/mine/instance/a");

    heading("Push here");
    line(format_args!("  {base}/metrics/job/<job>/<label>/<value>..."));
    text("Push to a group, and to the same group in another spelling:");
    command(format_args!("echo 'my_metric 42' | curl {follow}{code} --data-binary @- {group}"));
    command(format_args!(
        "echo 'my_metric 43' | curl {follow}{code} --data-binary @- {base}/metrics/job@base64/bWluZQ==/instance/a"
    ));
    text("Look up the owner as text and as JSON; list the members; delete the group:");
    command(format_args!("curl -w '\\n' '{base}/-/pushring/owner?path=/metrics/job/mine/instance/a'"));
    command(format_args!("curl -w '\\n' -H 'Accept: application/json' {group}"));
    command(format_args!("curl -w '\\n' {base}/-/pushring"));
    command(format_args!("curl {follow}{code} -X DELETE {group}"));
}

/// Prints the addresses of all servers.
pub(crate) fn pages(
    demo: &Demo,
    page: SocketAddr,
    companions: &[Companion],
    registry: &dyn Registry,
    follower: &str,
) {
    heading("Look inside");
    line(format_args!("  all groups   http://{page}/   page, API and /metrics of all"));
    for (address, process) in demo.fleet.running() {
        let name = if address == demo.spare { "spare      " } else { "pushgateway" };
        line(format_args!("  {name}  http://{address}/   process {process}"));
    }
    line(format_args!("  Envoy        http://{}/   process {}", demo.envoy.admin, demo.envoy.process.id()));
    line(format_args!("  logs, files  {}", short(&demo.dir)));
    for companion in companions {
        text(companion.purpose);
        command(companion.command());
    }
    text("This process follows the members:");
    command(follower);
    let Some((operator, (gateway, _))) = demo.envoy.operator.zip(demo.gateways().first().copied()) else {
        return;
    };
    let gateway = match demo.layout.mode() {
        Mode::Cluster => format!("pushgateway-{}", registry.member(gateway)),
        _ => gateway.to_string(),
    };
    text("Metrics of one Pushgateway through Envoy's operator listener:");
    command(format_args!("curl -s -H 'x-pushring-gateway: {gateway}' http://{operator}/metrics"));
}

/// Prints how to change the members in the registry.
pub(crate) fn members(demo: &Demo, registry: &dyn Registry) {
    heading("Change the members");
    if spare_runs(demo) {
        text(format_args!("Pushgateway {} runs, but is no member yet.", demo.spare));
    }
    for Step { text, commands } in registry.guide(demo.spare, &demo.gateways()) {
        screen::text(text);
        commands.iter().for_each(command);
    }
    kill(demo, registry);
}

fn spare_runs(demo: &Demo) -> bool {
    demo.fleet.running().any(|(address, _)| address == demo.spare)
}

/// Prints how to reach the servers, if they have a network of their own.
pub(crate) fn network(registry: &dyn Registry) {
    let Some(enter) = registry.enter() else { return };
    heading("Enter the network of this demo");
    text(
        "Pods have addresses of their own, so this demo has a network of its own. Run this in a second \
         terminal first; all other commands work in its shell:",
    );
    command(enter);
}

/// Prints how to move groups that are not on their owner, and how to remove stale copies.
pub(crate) fn clean_up(demo: &Demo) {
    let config = demo.layout.live().join("ring.yaml");
    let config = short(&config);
    let envoy = demo.envoy.push;
    heading("Clean up after a change of members");
    text("List where each group is stored and which member owns it:");
    command(format_args!("target/debug/pushring groups --config {config}"));
    text("Delete copies that their owner has newer; other copies stay until the next push:");
    command(format_args!("target/debug/pushring sweep --config {config} --envoy http://{envoy}"));
    if !spare_runs(demo) {
        return;
    }
    text("Hand the groups of a gateway that left the ring to their owners; then it can stop:");
    command(format_args!(
        "target/debug/pushring drain {} --config {config} --envoy http://{envoy}",
        demo.spare
    ));
}

fn kill(demo: &Demo, registry: &dyn Registry) {
    let Some((address, process)) = demo.gateways().last().copied() else { return };
    let pushes = match demo.layout.mode() {
        Mode::Cluster => "pushes of its groups get 503 until it is back or no longer a member",
        Mode::Endpoint => "pushes of its groups go to the ring's next member at once",
        Mode::Redirect => "clients are redirected to it until it is back or no longer a member",
    };
    let restarts = registry.enter().is_some();
    let again = if restarts { "Kubernetes starts it again" } else { "start it again" };
    text(format_args!("Kill Pushgateway {address}, and {again}; {pushes}:"));
    command(format_args!("kill {process}"));
    if !restarts {
        command(start_command(address));
    }
}
