//! The live folder as a ConfigMap volume of Kubernetes: its files are links into a folder that is replaced as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use pushring_harness::load::Load;
use pushring_harness::{Envoy, EnvoyFixture, Member, Mode, envoy_files};
use pushring_router::Router;

/// A fleet whose live folder is such a volume.
struct Volume {
    fleet: EnvoyFixture,
    members: Vec<Member>,
    swaps: usize,
}

impl Volume {
    fn start(mode: Mode, gateways: usize, first: &[usize], workers: u32) -> Self {
        let mut fleet = EnvoyFixture::start(mode, gateways);
        fleet.envoy.process.kill();
        let members = fleet.gateways.iter().map(|gateway| gateway.address.into()).collect();
        for file in fs::read_dir(fleet.layout.live()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        let mut volume = Self { fleet, members, swaps: 0 };
        volume.swap(first, first);
        for file in ["ring.yaml"].into_iter().chain(mode.upstream_file()) {
            symlink(PathBuf::from("..data").join(file), volume.fleet.layout.live().join(file)).unwrap();
        }
        volume.fleet.envoy = Envoy::start(&volume.fleet.layout, workers).unwrap();
        volume
    }

    /// Replaces all files as kubelet does: one rename of a link, then the former files are removed.
    fn swap(&mut self, ring: &[usize], upstreams: &[usize]) {
        let mode = self.fleet.layout.mode();
        let live = self.fleet.layout.live();
        self.fleet.config = envoy_files::config(mode, &self.chosen(ring)).unwrap();
        let name = format!("..{}", self.swaps + 1);
        let folder = live.join(&name);
        fs::create_dir(&folder).unwrap();
        let text = self.fleet.layout.ring(&self.fleet.config.to_string());
        let text = text.replace("/etc/pushring", self.fleet.layout.dir().to_str().unwrap());
        fs::write(folder.join("ring.yaml"), text).unwrap();
        if let Some(text) = envoy_files::upstreams(mode, &self.chosen(upstreams)).unwrap() {
            fs::write(folder.join(mode.upstream_file().unwrap()), text).unwrap();
        }
        symlink(&name, live.join("..data_tmp")).unwrap();
        fs::rename(live.join("..data_tmp"), live.join("..data")).unwrap();
        let former = live.join(format!("..{}", self.swaps));
        if former.exists() {
            fs::remove_dir_all(former).unwrap();
        }
        self.swaps += 1;
    }

    /// Swaps, and waits until Envoy has all of it.
    fn swap_and_wait(&mut self, ring: &[usize], upstreams: &[usize]) {
        self.swap(ring, upstreams);
        let names = |indexes: &[usize]| self.chosen(indexes).into_iter().map(|m| m.name).collect::<Vec<_>>();
        let (ring, upstreams) = (names(ring), names(upstreams));
        self.fleet.envoy.wait_members(&ring.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        if self.fleet.layout.mode() != Mode::Redirect {
            let upstreams: Vec<&str> = upstreams.iter().map(String::as_str).collect();
            self.fleet.envoy.wait_upstreams(&upstreams).unwrap();
        }
    }

    fn chosen(&self, indexes: &[usize]) -> Vec<Member> {
        indexes.iter().map(|&index| self.members[index].clone()).collect()
    }
}

#[test]
fn a_swap_updates_all_files() {
    for mode in Mode::ALL {
        let mut volume = Volume::start(mode, 4, &[0, 1, 2], 1);
        volume.swap_and_wait(&[1, 2, 3], &[1, 2, 3]);
        let client = volume.fleet.envoy.client().unwrap();
        for number in 0..40 {
            let path = format!("/metrics/job/j{number}");
            let owner = volume.fleet.owner(&path);
            let before = volume.fleet.requests();
            let answer = client.put(&path, "x 1\n").unwrap();
            if mode == Mode::Redirect {
                let location = format!("http://{}{path}", volume.fleet.gateways[owner].address);
                assert_eq!((answer.status, answer.header("location")), (307, Some(&*location)));
                continue;
            }
            assert_eq!(answer.status, 200, "{mode}: {}", answer.text());
            let mut expected = before;
            expected[owner] += 1;
            assert_eq!(volume.fleet.requests(), expected, "{mode} {path}");
        }
    }
}

/// One swap changes everything in mode `endpoint`. In mode `cluster` the clusters come one swap before the ring, and go one
/// swap after it. Every copy is on an owner of one of the two rings.
#[test]
fn swaps_under_load_lose_no_push() {
    const FEW: &[usize] = &[0, 1, 2];
    const ALL: &[usize] = &[0, 1, 2, 3, 4];
    for mode in Mode::ROUTED {
        let mut volume = Volume::start(mode, 5, FEW, 2);
        let rings = [FEW, ALL].map(|ring| {
            let config = envoy_files::config(mode, &volume.chosen(ring)).unwrap();
            Router::parse(config.to_string().as_bytes()).unwrap()
        });
        let load = Load::start(volume.fleet.envoy.push, 3);
        while volume.swaps < 50 {
            if mode == Mode::Cluster {
                volume.swap_and_wait(FEW, ALL);
                volume.swap_and_wait(ALL, ALL);
                volume.swap_and_wait(FEW, ALL);
                volume.swap_and_wait(FEW, FEW);
            } else {
                volume.swap_and_wait(ALL, ALL);
                volume.swap_and_wait(FEW, FEW);
            }
        }
        load.stop().assert_none_failed();
        for (group, holders) in volume.fleet.holders() {
            let path = format!("/metrics/job/{}/instance/{}", group["job"], group["instance"]);
            let owner = |router: &Router| {
                let owner = router.owner_of(path.as_bytes()).unwrap().owner.unwrap();
                volume.members.iter().position(|member| member.name == owner.name).unwrap()
            };
            let owners: BTreeSet<usize> = rings.iter().map(owner).collect();
            assert!(holders.is_subset(&owners), "{mode} {path}: on {holders:?}, owners {owners:?}");
        }
    }
}

/// The line that a large fleet may remove: without it, a change of the ring alone does not read the clusters again.
#[test]
fn without_a_watched_folder_for_clusters_publish_works_and_the_ring_costs_less() {
    for (mode, statistic) in [
        (Mode::Cluster, "cluster_manager.cds.update_attempt"),
        (Mode::Endpoint, "cluster.pushgateway.update_attempt"),
    ] {
        let mut fleet = EnvoyFixture::start(mode, 3);
        fleet.envoy.process.kill();
        let members: Vec<Member> = fleet.gateways.iter().map(|gateway| gateway.address.into()).collect();
        let config = |members: &[Member]| envoy_files::config(mode, members).unwrap();
        fleet.layout.write(&config(&members[..2])).unwrap();
        let file = mode.upstream_file().unwrap();
        let text = fs::read_to_string(fleet.layout.bootstrap()).unwrap();
        let (before, after) = text.split_once(&format!("/{file}\n")).expect("the path of the file");
        assert!(
            after.lines().take(5).any(|line| line.trim().starts_with("watched_directory:")),
            "{mode}: {after}"
        );
        let kept = after.replacen("watched_directory:", "# watched_directory:", 1);
        fs::write(fleet.layout.bootstrap(), format!("{before}/{file}\n{kept}")).unwrap();
        fleet.envoy = Envoy::start(&fleet.layout, 1).unwrap();

        let read = fleet.envoy.stat(statistic).unwrap().unwrap();
        fleet.layout.write_ring(&config(&members[..1]).to_string()).unwrap();
        fleet.envoy.wait_members(&[&members[0].name]).unwrap();
        assert_eq!(fleet.envoy.stat(statistic).unwrap(), Some(read), "{mode}");

        fleet.config = config(&members);
        fleet.layout.publish(&fleet.config, Some(fleet.envoy.admin)).unwrap();
        fleet.envoy.wait_members(&[&members[0].name, &members[1].name, &members[2].name]).unwrap();
        assert!(fleet.envoy.stat(statistic).unwrap() > Some(read), "{mode}");
        let client = fleet.envoy.client().unwrap();
        for number in 0..12 {
            let answer = client.put(&format!("/metrics/job/j{number}"), "x 1\n").unwrap();
            assert_eq!(answer.status, 200, "{mode}: {}", answer.text());
        }
    }
}
