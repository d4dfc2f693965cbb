//! Prints what the user can try. Each command works as printed in the folder of the repository.

use anyhow::Result;

use super::running::Running;
use crate::screen::{command, heading, line, short, text};

/// Prints addresses and commands.
pub(super) fn show(running: &Running) -> Result<()> {
    let index = running.index.address;
    let envoy = running.envoy.push;
    heading("Look here");
    line(format_args!("  page of metric-index  http://{index}/"));
    line(format_args!("  Envoy                 http://{envoy}/   pushes and remote writes"));
    line(format_args!("  Prometheus, sender    http://{}/", running.sender.address));
    line(format_args!("  Prometheus, target    http://{}/", running.receiver.address));
    for gateway in &running.gateways {
        line(format_args!("  pushgateway           http://{}/", gateway.address));
    }
    if let Some(stores) = &running.stores {
        line(format_args!("  Redis                 {}", stores.redis.address));
        line(format_args!("  Kafka                 {}   topic series", stores.kafka.address));
        line(format_args!(
            "  MariaDB               {}   user root, database metrics",
            stores.mariadb.address
        ));
    }
    line(format_args!("  logs, files           {}", short(&running.dir)));

    heading("Ask the catalogue");
    command(format_args!("export METRIC_INDEX_SERVER=http://{index}"));
    text("The series of one job; the labels with the most values; where series come from:");
    command("target/debug/metric-index search '{job=\"backup\"}'");
    command("target/debug/metric-index top labels");
    command("target/debug/metric-index owners");
    text("New in the last minute: the batches push a new group every few seconds:");
    command("target/debug/metric-index new --since 1m --limit 5");

    heading("Find a split group");
    text(
        "Push a group through Envoy, and its copy as an Envoy with another ring would send it; then push again:",
    );
    let path = "/metrics/job/mine/instance/a";
    let push = format!("echo 'my_metric 42' | curl --data-binary @- http://{envoy}{path}");
    command(&push);
    command(format_args!(
        "echo 'my_metric 42' | curl -H 'x-pushring-destination: pushgateway-10.9.9.9:9091' --data-binary @- \
         http://{index}{path}"
    ));
    text("A push is recorded again after a minute. Then push once more, and list the conflicts:");
    command(&push);
    command("target/debug/metric-index conflicts");
    Ok(())
}
