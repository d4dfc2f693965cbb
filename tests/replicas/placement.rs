//! Each group is on its owner and its replica, complete, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use pushring_harness::envoy_files::Member;
use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode, Pushgateway, poll_until};

use crate::fleet;

const GROUPS: usize = 600;
const POSTS: usize = 4000;
const CLIENTS: usize = 20;
/// Groups that all clients push to.
const SHARED: usize = 40;

fn job(number: usize) -> String {
    format!("j{number}")
}

fn path(number: usize) -> String {
    format!("/metrics/job/j{number}/instance/i")
}

/// The lines of each job at a gateway, without the times of its pushes.
fn lines(gateway: &Pushgateway) -> BTreeMap<String, BTreeSet<String>> {
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in gateway.metrics().unwrap().lines().filter(|line| !line.starts_with("push_")) {
        if let Some((_, rest)) = line.split_once("job=\"") {
            let job = rest.split('"').next().unwrap().to_owned();
            lines.entry(job).or_default().insert(line.to_owned());
        }
    }
    lines
}

/// The gateways that hold each job as `hold` says.
fn wanted(fleet: &EnvoyFixture, jobs: impl Iterator<Item = usize>) -> BTreeMap<String, BTreeSet<usize>> {
    jobs.map(|number| (job(number), fleet.clockwise(&path(number))[..2].iter().copied().collect())).collect()
}

fn found(fleet: &EnvoyFixture) -> BTreeMap<String, BTreeSet<usize>> {
    fleet.holders().into_iter().map(|(group, holders)| (group["job"].clone(), holders)).collect()
}

fn wait(fleet: &EnvoyFixture, what: &str, wanted: &BTreeMap<String, BTreeSet<usize>>) {
    let what = format!("{}: {what}", fleet.layout.mode());
    poll_until(&what, || (&found(fleet) == wanted).then_some(())).unwrap();
}

#[test]
fn each_group_is_on_its_owner_and_its_replica_until_it_is_deleted() {
    for mode in Mode::ROUTED {
        let fleet = fleet(mode, 5, "all");
        let client = fleet.envoy.client().unwrap();
        for number in 0..GROUPS {
            let body = format!("a{{l=\"{number}\"}} {number}.5\n# TYPE c counter\nc {number}\nb 1e-7\n");
            assert_eq!(client.put(&path(number), body).unwrap().status, 200, "{mode} {number}");
        }
        wait(&fleet, "each group on two gateways", &wanted(&fleet, 0..GROUPS));
        let lines: Vec<_> = fleet.gateways.iter().map(lines).collect();
        for number in 0..GROUPS {
            let ring = fleet.clockwise(&path(number));
            let (owner, replica) = (&lines[ring[0]][&job(number)], &lines[ring[1]][&job(number)]);
            assert_eq!(owner.len(), 3, "{mode}: {owner:?}");
            assert_eq!(owner, replica, "{mode}");
        }
        // A DELETE removes both copies, and no other group.
        for number in (0..GROUPS).step_by(3) {
            assert_eq!(client.delete(&path(number)).unwrap().status, 202, "{mode} {number}");
        }
        let rest = (0..GROUPS).filter(|number| number % 3 != 0);
        wait(&fleet, "no deleted group", &wanted(&fleet, rest));
    }
}

/// Several clients push the families of a group one by one, at the same time.
#[test]
fn no_family_of_concurrent_posts_is_missing_on_either() {
    for mode in Mode::ROUTED {
        let fleet = unchecked(mode, 5);
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let push = fleet.envoy.push;
                scope.spawn(move || post(push, (client..POSTS).step_by(CLIENTS)));
            }
        });
        let mut expected: Vec<BTreeMap<String, BTreeSet<String>>> = vec![BTreeMap::new(); 5];
        for number in 0..POSTS {
            let job = job(number % SHARED);
            let line = format!("f{number}{{instance=\"i\",job=\"{job}\"}} {number}");
            for &holder in &fleet.clockwise(&path(number % SHARED))[..2] {
                expected[holder].entry(job.clone()).or_default().insert(line.clone());
            }
        }
        for (gateway, expected) in fleet.gateways.iter().zip(&expected) {
            poll_until(&format!("{mode}: all families on {}", gateway.address), || {
                (&lines(gateway) == expected).then_some(())
            })
            .unwrap();
        }
    }
}

/// Starts gateways that do not check all that they hold with each push, which would take a minute here.
fn unchecked(mode: Mode, gateways: usize) -> EnvoyFixture {
    let mut fleet = fleet(mode, 0, "all");
    for _ in 0..gateways {
        let flags = ["--push.disable-consistency-check"];
        fleet.gateways.push(Pushgateway::start(fleet.layout.dir(), &flags).unwrap());
    }
    let members: Vec<Member> = fleet.gateways.iter().map(|gateway| gateway.address.into()).collect();
    fleet.config["members"] = serde_json::to_value(&members).unwrap();
    fleet.layout.write(&fleet.config).unwrap();
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    fleet.envoy.wait_members(&names).unwrap();
    fleet.envoy.wait_upstreams(&names).unwrap();
    fleet
}

fn post(push: std::net::SocketAddr, numbers: impl Iterator<Item = usize>) {
    let client = Client::new(push).unwrap();
    for number in numbers {
        let answer = client.post(&path(number % SHARED), format!("f{number} {number}\n")).unwrap();
        assert_eq!(answer.status, 202, "{number}: {}", answer.text());
    }
}
