//! The health of the gateways decides the ring; the last ring stays if hardly any gateway is healthy.

use pushring_harness::{ConsulFixture, Mode, poll_until};
use rustix::process::{Pid, Signal, getpgid, kill_process_group};
use serde_json::Value;

#[test]
fn follows_the_health_of_the_members() {
    for mode in Mode::ROUTED {
        let fixture = ConsulFixture::start(mode, 0, &[]);
        let client = fixture.envoy.client().unwrap();
        let answer = client.put("/metrics/job/a", "x 1\n").unwrap();
        assert_eq!(answer.status, 503, "{mode}");
        assert!(answer.text().contains("no pushgateway is known"), "{mode}: {}", answer.text());

        let gateways = [fixture.gateway(), fixture.gateway(), fixture.gateway()];
        let all = [0, 1, 2].map(|n: usize| gateways[n].address);
        for address in all {
            fixture.consul.register(address, "passing").unwrap();
        }
        fixture.wait_ring(&all);
        poll_until("a push to succeed", || {
            (client.put("/metrics/job/a", "x 1\n").ok()?.status == 200).then_some(())
        })
        .unwrap();

        // Their gateways still run: a push that reaches its owner proves that the ring stayed.
        let before = fixture.consul_template.process.log().len();
        for address in all {
            fixture.consul.set_status(address, "critical").unwrap();
        }
        fixture.wait_log(before, "members: found 0 members, allowed at least 2 (min_members)");
        let stayed = fixture.members();
        assert!(!stayed.is_empty(), "{mode}");
        assert_eq!(client.put("/metrics/job/a", "x 1\n").unwrap().status, 200, "{mode}");

        // One passing member of three is not enough, two are.
        let before = fixture.consul_template.process.log().len();
        fixture.consul.set_status(all[1], "passing").unwrap();
        fixture.wait_log(before, "members: found 1 members, allowed at least 2 (min_members)");
        assert_eq!(fixture.members(), stayed, "{mode}");
        fixture.consul.set_status(all[2], "passing").unwrap();
        fixture.wait_ring(&all[1..]);
        for address in all {
            fixture.consul.set_status(address, "passing").unwrap();
        }
        fixture.wait_ring(&all);
    }
}

/// The whole agent goes into maintenance, and with it all but one of the members in the same moment.
#[test]
fn keeps_the_ring_if_most_members_turn_critical_at_once() {
    let fixture = ConsulFixture::start(Mode::Cluster, 0, &[]);
    let mut all: Vec<_> = (1..=4).map(|n| std::net::SocketAddr::from(([10, 0, 0, n], 9091))).collect();
    for address in &all {
        fixture.consul.register(*address, "passing").unwrap();
    }
    fixture.catalog("elsewhere", "10.0.0.5", 9091, "passing");
    all.push(([10, 0, 0, 5], 9091).into());
    fixture.wait_ring(&all);

    let before = fixture.consul_template.process.log().len();
    fixture.consul.put("/v1/agent/maintenance?enable=true", &Value::Null).unwrap();
    fixture.wait_log(before, "members: found 1 members, allowed at least 3 (min_members)");
    fixture.wait_ring(&all);
    fixture.consul.put("/v1/agent/maintenance?enable=false", &Value::Null).unwrap();
    fixture.consul.set_status(all[0], "critical").unwrap();
    fixture.wait_ring(&all[1..]);
}

#[test]
fn publishes_fifty_members() {
    let fixture = ConsulFixture::start(Mode::Cluster, 0, &[]);
    let all: Vec<_> = (1..=50).map(|n| std::net::SocketAddr::from(([10, 0, 1, n], 9091))).collect();
    for address in &all {
        fixture.catalog("fifty", &address.ip().to_string(), 9091, "passing");
    }
    fixture.wait_ring(&all);
    let last = serde_json::json!({"Node": "fifty", "ServiceID": "10.0.1.50_9091"});
    fixture.consul.put("/v1/catalog/deregister", &last).unwrap();
    fixture.wait_ring(&all[..49]);
}

/// consul-template and publish are killed, before or after the first file moved. Although no registration changes any
/// more, consul-template finishes the publication when it starts again.
#[test]
fn a_publication_killed_with_consul_template_is_finished_after_a_restart() {
    let mut fixture = ConsulFixture::start(Mode::Cluster, 0, &[]);
    let mut all: Vec<_> = (1..=3).map(|n| std::net::SocketAddr::from(([10, 0, 0, n], 9091))).collect();
    fixture.consul.register(all[0], "passing").unwrap();
    fixture.wait_ring(&all[..1]);
    for (number, point) in [(1, "locked"), (2, "moved-clusters.yaml")] {
        fixture.consul_template.process.kill();
        fixture.consul.register(all[number], "passing").unwrap();
        let paused = format!("PUSHRING_PAUSE_AT={point} pushring publish");
        fixture.templates.edit("pushring.hcl", &[("pushring publish", &paused)]).unwrap();
        fixture.consul_template = fixture.templates.start(fixture.consul.address).unwrap();
        let marker = fixture.layout.live().join(".publish/paused");
        let publish = poll_until("publish to pause", || {
            Pid::from_raw(std::fs::read_to_string(&marker).ok()?.parse().ok()?)
        })
        .unwrap();
        fixture.consul_template.process.kill();
        // consul-template starts it in a process group of its own, together with the shell that would start it again.
        kill_process_group(getpgid(Some(publish)).unwrap(), Signal::KILL).unwrap();
        std::fs::remove_file(&marker).unwrap();
        fixture.wait_ring(&all[..number]);

        fixture.templates.edit("pushring.hcl", &[(&paused, "pushring publish")]).unwrap();
        fixture.consul_template = fixture.templates.start(fixture.consul.address).unwrap();
        fixture.wait_ring(&all[..=number]);
    }
    // The next change is published as usual.
    fixture.consul.deregister(all.remove(0)).unwrap();
    fixture.wait_ring(&all);
}
