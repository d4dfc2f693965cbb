//! Envoy shows which ring and which upstreams it has in force, so that a query over all Envoys finds one that disagrees.

use pushring_harness::{Envoy, EnvoyFixture, Member, Mode, poll_until};

const RING: &str = "extension_config_discovery.http_filter.pushring";

/// Returns the name of an Envoy's statistics about its clusters or endpoints.
fn upstreams(mode: Mode) -> &'static str {
    if mode == Mode::Cluster { "cluster_manager.cds" } else { "cluster.pushgateway" }
}

/// Returns the digest in `version_info`, and the number that Prometheus gets for it.
fn version(envoy: &Envoy, of: &str) -> (String, u64) {
    let stats = envoy.admin(&format!("/stats?filter=^{of}.version")).unwrap();
    let value = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(of)?.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{of}{name} in {stats}")).to_owned()
    };
    (value(".version_text: ").trim_matches('"').to_owned(), value(".version: ").parse().unwrap())
}

/// Waits until the version is another one than `before`.
fn next(envoy: &Envoy, of: &str, before: &(String, u64)) -> (String, u64) {
    poll_until(&format!("another version of {of}"), || {
        Some(version(envoy, of)).filter(|now| now.0 != before.0 && now.1 != before.1)
    })
    .unwrap()
}

#[test]
fn the_version_of_a_ring_is_its_digest() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 2);
        let (envoy, layout) = (&fleet.envoy, &fleet.layout);
        let first = version(envoy, RING);
        assert_eq!(envoy.status().unwrap()["digest"], first.0, "{mode}");

        // Only a weight.
        let mut heavy = fleet.config.clone();
        heavy["members"][0]["weight"] = 2.into();
        layout.write_ring(&heavy.to_string()).unwrap();
        let second = next(envoy, RING, &first);
        assert_eq!(envoy.status().unwrap()["digest"], second.0, "{mode}");

        // A rejected ring changes nothing, whatever version it claims.
        let rejected = format!("{RING}.update_rejected");
        let bad = layout.ring(r#"{"members": []}"#).replace("version_info: \"\"", "version_info: bad");
        assert!(bad.contains("version_info: bad"));
        layout.write_live("ring.yaml", &bad).unwrap();
        envoy.wait_stat(&rejected, |count| count > 0).unwrap();
        assert_eq!(version(envoy, RING), second, "{mode}");

        // An Envoy that has the same ring by another way has the same version.
        let mut same = fleet.config.clone();
        same["members"].as_array_mut().unwrap().reverse();
        layout.write_ring(&same.to_string()).unwrap();
        assert_eq!(next(envoy, RING, &second), first, "{mode}");
    }
}

#[test]
fn the_version_of_the_upstreams_changes_with_each_of_them() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 2);
        let write = |members: &[Member]| fleet.layout.write_upstreams(members).unwrap();
        let of = upstreams(mode);
        let members: Vec<Member> = fleet.gateways.iter().map(|gateway| gateway.address.into()).collect();
        let first = version(&fleet.envoy, of);
        let more = Member::from("127.0.0.1:1".parse::<std::net::SocketAddr>().unwrap());
        write(&[more.clone(), members[0].clone(), members[1].clone()]);
        let second = next(&fleet.envoy, of, &first);
        // A member that keeps its name and gets another address.
        write(&[
            Member { address: "127.0.0.1:2".to_owned(), ..more },
            members[0].clone(),
            members[1].clone(),
        ]);
        let third = next(&fleet.envoy, of, &second);
        assert_ne!(third, first, "{mode}");
        // In another order.
        write(&[members[1].clone(), members[0].clone()]);
        assert_eq!(next(&fleet.envoy, of, &third), first, "{mode}");
    }
}

/// The same series in both modes, with the address of the gateway, and at 0 before the first push.
#[test]
fn every_gateway_has_statistics_by_address() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 2);
        let path = "/metrics/job/a";
        let owner = fleet.owner(path);
        let total = |gateway: usize| -> Option<u64> {
            let address = fleet.gateways[gateway].address;
            let stats = fleet.envoy.admin("/stats/prometheus").unwrap();
            let mut sum = None;
            for line in stats.lines().filter(|line| line.starts_with("envoy_cluster_endpoint_rq_total{")) {
                if line.contains(&format!("envoy_endpoint_address=\"{address}\"")) {
                    let value: u64 = line.rsplit(' ').next()?.parse().ok()?;
                    sum = Some(sum.unwrap_or(0) + value);
                }
            }
            sum
        };
        assert_eq!((total(0), total(1)), (Some(0), Some(0)), "{mode}");
        assert_eq!(fleet.envoy.client().unwrap().put(path, "x 1\n").unwrap().status, 200);
        assert_eq!((total(owner), total(1 - owner)), (Some(1), Some(0)), "{mode}");
    }
}
