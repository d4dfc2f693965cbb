//! docs/operations.md, with clients that push all the time.

use std::fs;

use pushring_harness::http::Client;
use pushring_harness::{Process, machine, poll_until, tools};

use regex::Regex;

use crate::installation::{Installation, PUSH, wait_answer};
use crate::traffic::{GROUPS, Traffic};
use crate::walk::Walk;

#[test]
fn document() {
    machine::isolated("operations::document", operate);
}

fn operate() {
    let mut installation = Installation::start();
    Installation::install_files();
    installation.register(&[1, 2, 3]);
    let mut walk = Walk::of("docs/operations.md", &installation.repository);

    let heading = "Processes";
    walk.next(heading);
    walk.next(heading);
    wait_answer(PUSH, "/-/healthy");
    walk.section(heading);
    installation.wait_members(&[1, 2, 3]);
    let _second = second_ingress(&installation);
    let traffic = Traffic::start(PUSH);
    installation.wait_admin(9901, "wasmcustom.pushring_members: 3");

    assert_metrics_have_both_names();

    let heading = "Scale out";
    walk.next(heading);
    assert!(walk.printed.contains("10.0.0.4:9091"), "{}", walk.printed);
    installation.add_gateway(4);
    walk.next(heading);
    installation.wait_members(&[1, 2, 3, 4]);
    traffic.outdate();
    walk.next(heading);
    assert_eq!(installation.copies(), GROUPS, "the sweep leaves one copy of each group");
    walk.section(heading);
    assert!(walk.printed.contains("in-place"), "{}", walk.printed);

    let heading = "Scale in";
    walk.next(heading);
    installation.wait_members(&[1, 2, 3]);
    installation.wait_members_at("10.0.1.2:9091", &[1, 2, 3]);
    walk.section(heading);
    assert!(installation.gateways[3].groups().unwrap().is_empty());

    fs::write("/etc/pushring/consul-token", "unused\n").unwrap();
    walk.section("Run the sweeper");
    wait_answer("127.0.0.1:9089", "/metrics");

    let heading = "Upgrade Envoy";
    walk.next(heading);
    installation.wait_admin(9901, "server.hot_restart_epoch: 1");
    walk.section(heading);
    installation.wait_admin(9901, "wasmcustom.pushring_members: 3");
    traffic.round();
    installation.add_gateway(5);
    installation.register(&[5]);
    installation.wait_members(&[1, 2, 3, 5]);

    fs::copy(tools::wasm().unwrap(), installation.repository.join("pushring_filter.wasm")).unwrap();
    walk.section("Upgrade the filter");
    poll_until("the ring to name the new filter", || {
        let ring = fs::read_to_string("/etc/pushring/live/ring.yaml").unwrap();
        ring.contains("pushring_filter-0.2.0.wasm").then_some(())
    })
    .unwrap();

    let pushed = traffic.stop();
    assert!(pushed.lost.is_empty(), "lost {} of {}: {:?}", pushed.lost.len(), pushed.pushes, pushed.lost);
    installation.assert_stored(&pushed.values);
    walk.finish();
}

/// Fails unless Envoy has every metric of docs/configuration.md under the names of `/stats` and `/stats/prometheus`.
fn assert_metrics_have_both_names() {
    let document = fs::read_to_string(tools::repository().join("docs/configuration.md")).unwrap();
    let names = Regex::new(r"`wasmcustom\.(\w+)(<\w+>)?`").unwrap();
    let client = Client::new("127.0.0.1:9901".parse().unwrap()).unwrap();
    let (stats, prometheus) =
        (client.get("/stats").unwrap().text(), client.get("/stats/prometheus").unwrap().text());
    let mut found = 0;
    for name in names.captures_iter(&document) {
        let end = if name.get(2).is_some() { r"\w+" } else { "" };
        let stat = Regex::new(&format!(r"(?m)^wasmcustom\.{}{end}: \d+$", &name[1])).unwrap();
        let sample = Regex::new(&format!(r"(?m)^{}{end}\{{\}} \d+$", &name[1])).unwrap();
        assert!(stat.is_match(&stats), "{} in\n{stats}", &name[1]);
        assert!(sample.is_match(&prometheus), "{} in\n{prometheus}", &name[1]);
        found += 1;
    }
    assert!(found >= 6, "{found} names");
}

/// Starts the Envoy of the other ingress machine, which shares the files here.
fn second_ingress(installation: &Installation) -> Process {
    machine::add("ingress", &["10.0.1.2"]).unwrap();
    let mut command = machine::on("ingress", &tools::find("envoy").unwrap());
    command.args(["--config-path", "/etc/pushring/cluster.yaml", "--base-id", "7"]);
    let envoy = Process::start("second-envoy", command, installation.folder()).unwrap();
    wait_answer("10.0.1.2:9091", "/-/ready");
    envoy
}
