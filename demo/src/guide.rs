//! What the reader can do while the demo runs. Each command works as printed, from the folder of the repository.

use std::net::SocketAddr;
use std::path::Path;

use pushring_harness::Mode;

use crate::demo::Demo;
use crate::fleet::start_command;
use crate::from_consul::register_command;
use crate::screen::{command, heading, line, short};

/// Where to push, and what to ask afterwards.
pub(crate) fn pushes(demo: &Demo) {
    let mode = demo.layout.mode();
    let base = format!("http://{}", demo.envoy.push);
    // Only curl has to be told to go where a redirect leads.
    let follow = if mode == Mode::Redirect { "-L " } else { "" };
    let code = "-w '%{http_code}\\n'";
    let group = format!("{base}/metrics/job/mine/instance/a");

    heading("Push here");
    line(format_args!("  {base}/metrics/job/<job>/<label>/<value>..."));
    line("  A push, and one to the same group in another spelling:");
    command(format_args!("echo 'my_metric 42' | curl {follow}{code} --data-binary @- {group}"));
    command(format_args!(
        "echo 'my_metric 43' | curl {follow}{code} --data-binary @- {base}/metrics/job@base64/bWluZQ==/instance/a"
    ));
    line("  Which pushgateway owns the group, for people and for programs; all members; the group removed:");
    command(format_args!("curl -w '\\n' {group}"));
    command(format_args!("curl -w '\\n' -H 'Accept: application/json' {group}"));
    command(format_args!("curl -w '\\n' {base}/-/pushring"));
    command(format_args!("curl {follow}{code} -X DELETE {group}"));
}

/// Addresses of all that runs.
pub(crate) fn pages(demo: &Demo) {
    heading("Look inside");
    for (address, process) in demo.fleet.running() {
        line(format_args!("  pushgateway  http://{address}/   process {process}"));
    }
    line(format_args!("  Envoy        http://{}/   process {}", demo.envoy.admin, demo.envoy.process.id()));
    line(format_args!("  logs, files  {}", short(&demo.dir)));
    let Some((operator, gateway)) = demo.envoy.operator.zip(demo.gateways().first().copied()) else { return };
    let prefix = if demo.layout.mode() == Mode::Cluster { "pushgateway-" } else { "" };
    line("  One pushgateway's own metrics, past the ring, by Envoy's operator listener:");
    command(format_args!("curl -s -H 'x-pushring-gateway: {prefix}{gateway}' http://{operator}/metrics"));
}

/// What to do about groups that stayed on a former owner.
pub(crate) fn clean_up(demo: &Demo) {
    let config = demo.layout.live().join("ring.yaml");
    let config = short(&config);
    let envoy = demo.envoy.push;
    heading("Clean up what moved");
    line(
        "  Once the members have changed: which group lies where, who owns it, and what is left on a former owner:",
    );
    command(format_args!("target/debug/pushring groups --config {config}"));
    line("  Copies that their owner has newer are deleted; the others stay until they are pushed again:");
    command(format_args!("target/debug/pushring sweep --config {config} --envoy http://{envoy}"));
}

/// How to change the members in the file.
pub(crate) fn members_file(demo: &Demo, path: &Path, next: SocketAddr) {
    let path = short(path);
    heading("Change the members");
    line(format_args!(
        "  Edit {path}: it is the filter's configuration, and the ring follows when you save it."
    ));
    line(
        "  A new member on this machine gets its pushgateway started. For example, one more, and away with it:",
    );
    let Some(last) = demo.gateways().last().copied() else { return };
    command(format_args!("sed -i.bak 's/\"{last}\"/&, \"{next}\"/' {path}"));
    command(format_args!("sed -i.bak 's/, \"{next}\"//' {path}"));
    kill(demo);
}

/// How to change the members in Consul.
pub(crate) fn consul(demo: &Demo, consul: SocketAddr, next: SocketAddr) {
    heading("Change the members");
    line(format_args!(
        "  Consul's own page is http://{consul}/ui/. One more pushgateway, in another terminal:"
    ));
    command(start_command(next));
    line("  and into Consul with it; passing once its first check has passed:");
    command(register_command(consul, &[next]));
    command(format_args!("target/debug/pushring deregister --consul {consul} {next}"));
    if let Some((address, process)) = demo.fleet.running().nth(1).or_else(|| demo.fleet.running().next()) {
        let id = address.to_string().replace(':', "_");
        let maintenance = format!("'http://{consul}/v1/agent/service/maintenance/{id}?enable=");
        line(format_args!("  Pushgateway {address} hangs, and is back:"));
        command(format_args!("kill -STOP {process}"));
        command(format_args!("kill -CONT {process}"));
        line("  It is taken out for maintenance, and put back:");
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
        Mode::Redirect => "its groups are sent there in vain until it is back or no longer a member",
    };
    line(format_args!("  Pushgateway {address} dies ({pushes}), and is started again:"));
    command(format_args!("kill {process}"));
    command(start_command(address));
}
