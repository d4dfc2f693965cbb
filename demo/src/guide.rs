//! Prints what the user can try. Each command works as printed in the folder of the repository.

use std::net::SocketAddr;
use std::path::Path;

use pushring_harness::Mode;

use crate::demo::Demo;
use crate::fleet::start_command;
use crate::from_consul::register_command;
use crate::screen::{command, heading, line, short};

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
    line("  Push to a group, and to the same group in another spelling:");
    command(format_args!("echo 'my_metric 42' | curl {follow}{code} --data-binary @- {group}"));
    command(format_args!(
        "echo 'my_metric 43' | curl {follow}{code} --data-binary @- {base}/metrics/job@base64/bWluZQ==/instance/a"
    ));
    line("  Look up the owner as text and as JSON; list the members; delete the group:");
    command(format_args!("curl -w '\\n' '{base}/-/pushring/owner?path=/metrics/job/mine/instance/a'"));
    command(format_args!("curl -w '\\n' -H 'Accept: application/json' {group}"));
    command(format_args!("curl -w '\\n' {base}/-/pushring"));
    command(format_args!("curl {follow}{code} -X DELETE {group}"));
}

/// Prints the addresses of all servers.
pub(crate) fn pages(demo: &Demo) {
    heading("Look inside");
    for (address, process) in demo.fleet.running() {
        line(format_args!("  pushgateway  http://{address}/   process {process}"));
    }
    line(format_args!("  Envoy        http://{}/   process {}", demo.envoy.admin, demo.envoy.process.id()));
    line(format_args!("  logs, files  {}", short(&demo.dir)));
    let Some((operator, gateway)) = demo.envoy.operator.zip(demo.gateways().first().copied()) else { return };
    let prefix = if demo.layout.mode() == Mode::Cluster { "pushgateway-" } else { "" };
    line("  Metrics of one Pushgateway through Envoy's operator listener:");
    command(format_args!("curl -s -H 'x-pushring-gateway: {prefix}{gateway}' http://{operator}/metrics"));
}

/// Prints how to remove stale copies.
pub(crate) fn clean_up(demo: &Demo) {
    let config = demo.layout.live().join("ring.yaml");
    let config = short(&config);
    let envoy = demo.envoy.push;
    heading("Clean up stale copies");
    line("  After a change of members, list where each group is stored and which member owns it:");
    command(format_args!("target/debug/pushring groups --config {config}"));
    line("  Delete copies that their owner has newer; other copies stay until the next push:");
    command(format_args!("target/debug/pushring sweep --config {config} --envoy http://{envoy}"));
}

/// Prints how to change the members in the file.
pub(crate) fn members_file(demo: &Demo, path: &Path, next: SocketAddr) {
    let path = short(path);
    heading("Change the members");
    line(format_args!("  Edit {path}, the filter's configuration. The ring follows when you save it."));
    line(
        "  The demo starts a Pushgateway for each new member on this machine. For example, add one and remove it:",
    );
    let Some(last) = demo.gateways().last().copied() else { return };
    command(format_args!("sed -i.bak 's/\"{last}\"/&, \"{next}\"/' {path}"));
    command(format_args!("sed -i.bak 's/, \"{next}\"//' {path}"));
    kill(demo);
}

/// Prints how to change the members in Consul.
pub(crate) fn consul(demo: &Demo, consul: SocketAddr, next: SocketAddr) {
    heading("Change the members");
    line(format_args!(
        "  Consul's page is http://{consul}/ui/. Start another Pushgateway in a second terminal:"
    ));
    command(start_command(next));
    line("  Register it, which makes it pass after its first check, and deregister it:");
    command(register_command(consul, &[next]));
    command(format_args!("target/debug/pushring deregister --consul {consul} {next}"));
    if let Some((address, process)) = demo.fleet.running().nth(1).or_else(|| demo.fleet.running().next()) {
        let id = address.to_string().replace(':', "_");
        let maintenance = format!("'http://{consul}/v1/agent/service/maintenance/{id}?enable=");
        line(format_args!("  Suspend and resume Pushgateway {address}:"));
        command(format_args!("kill -STOP {process}"));
        command(format_args!("kill -CONT {process}"));
        line("  Start and end its maintenance:");
        command(format_args!("curl -X PUT {maintenance}true'"));
        command(format_args!("curl -X PUT {maintenance}false'"));
    }
    kill(demo);
}

fn kill(demo: &Demo) {
    let Some((address, process)) = demo.fleet.running().last() else { return };
    let pushes = match demo.layout.mode() {
        Mode::Cluster => "its groups get 503 until it is back or no longer a member",
        Mode::Endpoint => "its groups go to the ring's next member at once",
        Mode::Redirect => "clients are redirected to it until it is back or no longer a member",
    };
    line(format_args!("  Kill Pushgateway {address} ({pushes}) and start it again:"));
    command(format_args!("kill {process}"));
    command(start_command(address));
}
