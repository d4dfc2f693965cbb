//! A machine that vanishes: no packet reaches its gateway anymore, and none comes back.
//!
//! The test runs itself again in a network of its own, so that it needs no rights and leaves nothing.

use std::env;
use std::process::Command;

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode, Process, poll_until, process, tools};

use crate::silent::with_owner;

const INSIDE: &str = "PUSHRING_TEST_NETWORK";
const GATEWAY: &str = "10.231.0.2:9091";

/// Waits for the network card that the test adds, and becomes a Pushgateway.
const MACHINE: &str = "until ip address add 10.231.0.2/30 dev inner; do sleep 0.05; done
ip link set inner up
exec \"$0\" --web.listen-address=10.231.0.2:9091";

fn run(command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let status = Command::new(words[0]).args(&words[1..]).status();
    assert!(status.expect("packages iproute2 and util-linux").success(), "{command}");
}

/// Starts a gateway on a machine of its own.
fn machine(fleet: &EnvoyFixture) -> Process {
    let mut command = process::command("unshare".as_ref());
    command.args(["--net", "--", "sh", "-c", MACHINE]).arg(tools::find("pushgateway").unwrap());
    let gateway = Process::start("machine", command, &fleet.layout.live().join("..")).unwrap();
    let inside = format!("/proc/{}/ns/net", gateway.id());
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    poll_until("its network", || (std::fs::read_link(&inside).ok()? != own).then_some(())).unwrap();
    run(&format!("ip link add outer type veth peer name inner netns {}", gateway.id()));
    run("ip address add 10.231.0.1/30 dev outer");
    run("ip link set outer up");
    gateway
}

/// The next member stores a text push when Linux has closed the open connection, and any push that needs a new one.
#[test]
fn a_gateway_that_vanishes_fails_no_text_in_endpoint_mode() {
    if env::var_os(INSIDE).is_none() {
        let name = "vanished::a_gateway_that_vanishes_fails_no_text_in_endpoint_mode";
        let mut again = Command::new("unshare");
        again.args(["--map-root-user", "--net", "--"]).arg(env::current_exe().unwrap());
        let status = again.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").status();
        let status = status.expect("unshare of the package util-linux");
        return assert!(status.success(), "the system must allow user namespaces");
    }
    run("ip link set lo up");
    for (mode, expected) in [(Mode::Cluster, 503), (Mode::Endpoint, 200)] {
        let fleet = EnvoyFixture::edited(mode, 1, &[("int_value: 3000", "int_value: 300")]);
        let gateway = machine(&fleet);
        let path = with_owner(&fleet, GATEWAY.parse().unwrap());
        let client = fleet.envoy.client().unwrap();
        let direct = Client::new(GATEWAY.parse().unwrap()).unwrap();
        poll_until("the gateway", || (direct.get("/-/ready").ok()?.status == 200).then_some(())).unwrap();
        assert_eq!(client.put(&path, "x 1\n").unwrap().status, 200, "{mode}");
        assert_eq!(fleet.requests()[0], 0, "{mode}: the gateway that vanishes must own the group");
        run(&format!("nsenter --net=/proc/{}/ns/net ip address del 10.231.0.2/30 dev inner", gateway.id()));
        for (value, content_type) in [(2, "text/plain"), (3, "application/vnd.google.protobuf")] {
            let headers = [("content-type", content_type)];
            let answer = client.send("PUT", &path, &headers, format!("x {value}\n")).unwrap();
            assert_eq!(answer.status, expected, "{mode}: {}", answer.text());
        }
        let stored = fleet.gateways[0].metrics().unwrap().lines().any(|line| line.ends_with("\"} 3"));
        assert_eq!(stored, mode == Mode::Endpoint, "{mode}");
        run("ip link del outer");
    }
}
