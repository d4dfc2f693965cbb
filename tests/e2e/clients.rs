//! Real clients: after hundreds of pushes, each group is stored on exactly one Pushgateway, however its client spells
//! it.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use pushring_harness::{Mode, tools};
use serde_json::{Value, json};

use pushring_harness::envoy_fixture::{EnvoyFixture, Group};

const NAMES: [&str; 4] = ["instance", "zone", "team", "shard"];
/// Values that all three clients can spell.
const VALUES: [&str; 8] = ["a", "db-1.example:9100", "ü", "100%", "a+b", "a&b=c", "日本", "~tilde_"];
/// Values that prom-client cannot spell; Go and Python send some as base64. The list has no space, because the Python
/// client sends it as "+", which a Pushgateway keeps.
const AWKWARD: [&str; 4] = ["a/b", "/", "", "a\\b"];
const GROUPS: usize = 120;

/// Pushes all `groups`, each with its labels in random order. Every push must succeed.
fn push(mut client: Command, groups: &BTreeSet<Group>, random: &mut fastrand::Rng) {
    let shuffled = |group: &Group| {
        let mut labels: Vec<_> = group.iter().filter(|(name, _)| *name != "job").collect();
        random.shuffle(&mut labels);
        json!({ "job": group["job"], "labels": labels })
    };
    let input: Value = groups.iter().map(shuffled).collect();
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = client.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{client:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn python(url: &str) -> Command {
    let mut command = Command::new(tools::python().unwrap());
    command.arg(tools::repository().join("tests/clients/python/push.py")).args([url, "from_python"]);
    command
}

fn go(url: &str) -> Command {
    let mut command = Command::new(tools::find("push-go").unwrap());
    command.args([url, "from_go"]);
    command
}

fn node(url: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(tools::repository().join("tests/clients/node/push.mjs")).arg(tools::node().unwrap());
    command.args([url, "from_node"]);
    command
}

/// Returns random groups of up to four labels in addition to the job. Each group has its own job: the consistency
/// check of a Pushgateway treats an empty label as none, so the same job with and without one would collide.
fn groups(random: &mut fastrand::Rng, job: &str, values: &[&str]) -> BTreeSet<Group> {
    let mut groups = BTreeSet::new();
    while groups.len() < GROUPS {
        let mut group = Group::from([("job".to_owned(), format!("{job}{}", groups.len()))]);
        for name in NAMES {
            let value = values[random.usize(..values.len())];
            // An empty instance is poison.
            if random.bool() && (name, value) != ("instance", "") {
                group.insert(name.to_owned(), value.to_owned());
            }
        }
        groups.insert(group);
    }
    groups
}

#[test]
fn groups_of_real_clients_are_on_exactly_one_gateway() {
    let seed = fastrand::u64(..);
    println!("seed {seed}"); // shown when the test fails
    let mut random = fastrand::Rng::with_seed(seed);
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 4);
        let url = format!("http://{}", fleet.envoy.push);
        let plain = groups(&mut random, "plain-", &VALUES);
        let awkward = groups(&mut random, "awkward/", &[&VALUES[..], &AWKWARD].concat());
        for client in [python, go, node] {
            push(client(&url), &plain, &mut random);
        }
        for client in [go, python] {
            push(client(&url), &awkward, &mut random);
        }

        let holders = fleet.holders();
        // A pushgateway keeps a label with an empty value, so the groups are those that were pushed.
        let stored: BTreeSet<&Group> = holders.keys().collect();
        let pushed: BTreeSet<&Group> = plain.iter().chain(&awkward).collect();
        let differences: Vec<_> = stored.symmetric_difference(&pushed).collect();
        assert!(differences.is_empty(), "{mode}: stored or pushed, not both: {differences:#?}");
        for (group, holders) in &holders {
            assert_eq!(holders.len(), 1, "{mode} {group:?} is on {holders:?}");
        }
        // Each client added its own metric to the group, so all of them reached the same one.
        let metrics: String = fleet.gateways.iter().map(|gateway| gateway.metrics().unwrap()).collect();
        let count =
            |name: &str| metrics.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
        assert_eq!(
            [count("from_node"), count("from_go"), count("from_python")],
            [GROUPS, 2 * GROUPS, 2 * GROUPS]
        );
    }
}
