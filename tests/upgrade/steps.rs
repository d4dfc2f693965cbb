//! Every section of the page, in its order and back.

use pushring_harness::poll_until;
use serde_json::Value;

use crate::load;
use crate::machine::Machine;
use crate::next;
use crate::page::Page;

const GATEWAYS: [&str; 3] = ["127.0.0.1:19091", "127.0.0.1:19092", "127.0.0.1:19093"];
const OLD_GATEWAY: &str = "127.0.0.1:19090";

#[test]
fn every_step_and_its_way_back() {
    let machine = Machine::boot("vm");
    next::install(&machine);
    machine.ok("dpkg -i pushring_0.2.0_amd64.deb");
    let mut page = Page::open();
    one_to_three(&machine, &mut page);
    let digest = status(&machine)["digest"].clone();
    let places = load::places(&machine);
    let unmoved = |what: &str| {
        load::round(&machine);
        assert_eq!(status(&machine)["digest"], digest, "{what}");
        assert_eq!(load::places(&machine), places, "{what}");
        load::assert_in_place(&machine);
    };
    command_and_filter(&machine, &mut page, &unmoved);
    envoy(&machine, &mut page, &unmoved);
    mode(&machine, &mut page, "cluster", "endpoint");
    unmoved("endpoint");
    gateways(&machine, &mut page);
    unmoved("the newest gateways");
    for (from, to) in [("endpoint", "cluster"), ("cluster", "redirect"), ("redirect", "cluster")] {
        mode(&machine, &mut page, from, to);
        unmoved(to);
    }
    load::stop(&machine, &GATEWAYS);
    page.finish();
}

/// From one gateway to three, back, and to three again.
fn one_to_three(machine: &Machine, page: &mut Page) {
    let section = "From one Pushgateway to three";
    machine.ok(&format!("systemctl start pushring-pushgateway@{OLD_GATEWAY}"));
    machine.wait(&format!("curl -sS --fail http://{OLD_GATEWAY}/-/ready"));
    // Groups that are never pushed again.
    for number in 0..20 {
        machine.ok(&format!("echo 'once {number}' | curl -sS --fail --data-binary @- http://{OLD_GATEWAY}/metrics/job/once/n/{number}"));
    }
    load::start(machine, 19090);
    load::round(machine);
    page.execute(machine, section, 0);
    load::point(machine, 9091);
    load::round(machine);
    page.execute(machine, section, 1);
    assert_eq!(groups(machine, OLD_GATEWAY), 0);
    page.execute(machine, section, 2);
    load::wait_swept(machine);
    load::assert_in_place(machine);
    let total = || GATEWAYS.iter().map(|gateway| groups(machine, gateway)).sum::<usize>();
    assert_eq!(total(), load::GROUPS + 20);

    page.execute(machine, section, 3);
    assert_eq!((total(), groups(machine, OLD_GATEWAY)), (0, load::GROUPS + 20));

    page.execute(machine, section, 0);
    poll_until("three members", || (status(machine)["members"].as_array().unwrap().len() == 3).then_some(()))
        .unwrap();
    load::round(machine);
    page.execute(machine, section, 1);
    page.execute(machine, section, 2);
    load::wait_swept(machine);
    assert_eq!(total(), load::GROUPS + 20);
}

fn command_and_filter(machine: &Machine, page: &mut Page, unmoved: &impl Fn(&str)) {
    // The old gateway is no longer in the list: the next `discover` must remember that it vanished.
    let registered =
        "curl -sS --fail http://127.0.0.1:9088/metrics | grep -x 'pushring_discover_registered 4'";
    machine.wait(registered);

    let commit = status(machine)["commit"].clone();
    page.execute(machine, "The command", 0);
    unmoved("the package");
    let files = || machine.ok("stat -c '%n %i %Z' /var/lib/pushring/live/*.yaml");
    let before = files();
    let old = program(machine, "pushring-discover");
    page.execute(machine, "The command", 1);
    page.execute(machine, "The command", 2);
    assert_ne!(program(machine, "pushring-discover"), old);
    machine.wait(registered);
    assert_eq!(files(), before, "nothing is published when nothing has changed");
    assert_eq!(status(machine)["commit"], commit, "the filter is not replaced yet");
    unmoved("the newest command");

    page.execute(machine, "The filter", 0);
    page.execute(machine, "The filter", 1);
    poll_until("the newest filter", || (status(machine)["commit"] == next::COMMIT).then_some(())).unwrap();
    unmoved("the newest filter");

    let copy = "cp /usr/lib/pushring/pushring_filter.wasm /etc/pushring/pushring_filter-0.3.0.wasm\n";
    page.replaced(machine, "The filter", 0, &[(copy, ""), ("0.3.0", "0.2.0")]);
    page.replaced(machine, "The filter", 1, &[("0.3.0", "0.2.0")]);
    poll_until("the older filter", || (status(machine)["commit"] == commit).then_some(())).unwrap();
    machine.ok("dpkg -i pushring_0.2.0_amd64.deb");
    page.execute(machine, "The command", 1);
    assert_eq!(program(machine, "pushring-discover"), old);
    machine.wait(registered);
    unmoved("the older command");

    // A file that is no module.
    let rejected = "curl -sS http://127.0.0.1:9901/stats | grep 'pushring.update_rejected: [1-9]'";
    let copy = copy.trim_end();
    let (module, broken) = ("/etc/pushring/pushring_filter-0.3.0.wasm", "/etc/pushring/broken.wasm");
    let write = format!("echo broken > {broken}");
    page.replaced(machine, "The filter", 0, &[(copy, &write), (module, broken)]);
    machine.wait(rejected);
    assert_eq!(status(machine)["commit"], commit, "the last filter stays");
    unmoved("a broken filter");
    page.replaced(machine, "The filter", 0, &[(copy, "true"), ("0.3.0", "0.2.0")]);
}

fn envoy(machine: &Machine, page: &mut Page, unmoved: &impl Fn(&str)) {
    for (program, version) in [("envoy-new", "/1.40."), ("envoy-old", "/1.36."), ("envoy-new", "/1.40.")] {
        page.execute(machine, "Envoy", 0);
        page.replaced(machine, "Envoy", 1, &[("envoy-new", program)]);
        page.execute(machine, "Envoy", 2);
        let info = machine.ok("curl -sS --fail http://127.0.0.1:9901/server_info");
        assert!(info.contains(version), "{info}");
        unmoved(program);
    }
}

fn mode(machine: &Machine, page: &mut Page, from: &str, to: &str) {
    assert_eq!(status(machine)["mode"], from);
    page.execute(machine, "Envoy", 0);
    page.replaced(machine, "From one mode to another", 0, &[("endpoint", to)]);
    page.execute(machine, "Envoy", 2);
    assert_eq!(status(machine)["mode"], to);
}

fn gateways(machine: &Machine, page: &mut Page) {
    let unit = format!("pushring-pushgateway@{}", GATEWAYS[0]);
    let old = program(machine, &unit);
    for (file, same) in [("pushgateway-new", false), ("pushgateway-old", true), ("pushgateway-new", false)] {
        page.replaced(machine, "A Pushgateway", 0, &[("pushgateway-new", file)]);
        assert_eq!(program(machine, &unit) == old, same, "{file}");
        load::round(machine);
        load::wait_swept(machine);
    }
}

/// Returns the checksum of the program that a unit runs.
fn program(machine: &Machine, unit: &str) -> String {
    machine.ok(&format!("md5sum < /proc/$(systemctl show --property MainPID --value {unit})/exe"))
}

fn status(machine: &Machine) -> Value {
    serde_json::from_str(&machine.ok("curl -sS --fail http://127.0.0.1:9091/-/pushring")).unwrap()
}

/// Returns the number of groups on a gateway.
fn groups(machine: &Machine, gateway: &str) -> usize {
    let text = machine.ok(&format!("curl -sS --fail http://{gateway}/api/v1/metrics"));
    serde_json::from_str::<Value>(&text).unwrap()["data"].as_array().unwrap().len()
}
