//! A group always reaches the same Pushgateway: the owner according to the router.

use std::collections::BTreeSet;

use pushring_harness::Mode;

use pushring_harness::envoy_fixture::{EnvoyFixture, group};

/// Spellings of one group.
const SPELLINGS: [&str; 8] = [
    "/metrics/job/backup/instance/db1/zone/a",
    "/metrics/job/backup/zone/a/instance/db1",
    "/metrics/job@base64/YmFja3Vw/instance/db1/zone/a",
    "/metrics/job@base64/YmFja3Vw==/zone@base64/YQ/instance/db1",
    "/metrics/job/%62ackup/instance/%64b1/zone/a",
    "/metrics/%6Aob/backup/zone/a/instance/db1",
    "/metrics/job/backup/instance/wrong/zone/a/instance/db1",
    "/metrics/job/backup/instance/db1/zone/a?any=query",
];

#[test]
fn every_group_is_on_its_owner_only() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 3);
        let client = fleet.envoy.client().unwrap();
        for number in 0..60 {
            let path = format!("/metrics/job/j{number}/instance/i");
            let method = if number % 2 == 0 { "PUT" } else { "POST" };
            let answer = client.send(method, &path, &[], "x 1\n").unwrap();
            assert_eq!(answer.status, 200, "{mode} {path}: {}", answer.text());
        }
        let holders = fleet.holders();
        assert_eq!(holders.len(), 60);
        for (group, holders) in &holders {
            let owner = fleet.owner(&format!("/metrics/job/{}/instance/i", group["job"]));
            assert_eq!(*holders, BTreeSet::from([owner]), "{mode} {group:?}");
        }
        let used: BTreeSet<_> = holders.values().flatten().collect();
        assert_eq!(used.len(), 3, "60 groups on fewer than 3 gateways: this test would prove nothing");
    }
}

#[test]
fn all_spellings_of_a_group_reach_one_gateway() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 5);
        let client = fleet.envoy.client().unwrap();
        for path in SPELLINGS {
            assert_eq!(client.post(path, "x 1\n").unwrap().status, 200, "{mode} {path}");
        }
        let labels = group(&[("job", "backup"), ("instance", "db1"), ("zone", "a")]);
        let owner = fleet.owner(SPELLINGS[0]);
        assert_eq!(fleet.holders().into_iter().collect::<Vec<_>>(), [(labels, BTreeSet::from([owner]))]);
        assert_eq!(fleet.requests()[owner], SPELLINGS.len() as u64);
    }
}

#[test]
fn lookup_names_the_owner() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 3);
        let client = fleet.envoy.client().unwrap();
        for path in SPELLINGS {
            let owner = fleet.gateways[fleet.owner(path)].address;
            let text = format!("nextUrl:http://{owner}{path}");
            let encoded = path.replace('%', "%25");
            let asked = client.get(&format!("/-/pushring/owner?path={encoded}")).unwrap();
            assert_eq!((asked.status, asked.text()), (200, text.clone()), "{mode}");
            let plain = client.get(path).unwrap();
            if mode == Mode::Redirect {
                assert_eq!((plain.status, plain.text()), (200, text));
            } else {
                let own = fleet.gateways[0].client().unwrap().get(path).unwrap();
                assert_eq!((plain.status, own.status), (405, 405), "{mode} {path}");
                assert_eq!(plain.header("allow"), Some("PUT, POST, DELETE"));
                assert!(plain.text().contains("/-/pushring/owner?path="), "{}", plain.text());
            }
            let json =
                client.send("GET", path, &[("accept", "application/json")], "").unwrap().json().unwrap();
            assert_eq!(json["owner"]["address"], owner.to_string());
            assert_eq!(json["labels"]["instance"], "db1");
        }
        assert_eq!(fleet.requests().iter().sum::<u64>(), 0);
    }
}

/// A gateway itself answers the pushes that it rejects; pushes that would poison it never reach it.
#[test]
fn the_gateway_answers_rejected_pushes_itself() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 3);
        let client = fleet.envoy.client().unwrap();
        for path in ["/metrics/job/a/odd", "/metrics/job@base64/!!", "/metrics/job/a/0name/x"] {
            let answer = client.put(path, "x 1\n").unwrap();
            let own = fleet.gateways[0].client().unwrap().put(path, "x 1\n").unwrap();
            assert_eq!((answer.status, answer.text()), (400, own.text()), "{mode} {path}");
        }
        let sent: u64 = fleet.requests().iter().sum();
        let answer = client.put("/metrics/job/a/instance/%FF", "x 1\n").unwrap();
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("not UTF-8"), "{}", answer.text());
        assert_eq!(fleet.requests().iter().sum::<u64>(), sent, "it must not reach a gateway");
        for gateway in &fleet.gateways {
            gateway.metrics().unwrap();
        }
        // Both groups at one gateway, in this order, would stop its pushes.
        for (path, status) in [("/metrics/job/b", 200), ("/metrics/job/b/instance@base64/=", 400)] {
            assert_eq!(client.put(path, "x 1\n").unwrap().status, status, "{mode} {path}");
        }
    }
}

/// A path that Go's router would clean gets 307, so that the client repeats the push. The 301 of an older gateway
/// would turn it into a GET.
#[test]
fn a_path_to_clean_is_redirected_to_the_same_host() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 2);
        let client = fleet.envoy.client().unwrap();
        for path in
            ["/metrics//job/a?b=c", "/metrics/./job/a?b=c", "/metrics/x/../job/a?b=c", "//metrics/job//a?b=c"]
        {
            let answer = client.put(path, "x 1\n").unwrap();
            assert_eq!(
                (answer.status, answer.header("location")),
                (307, Some("/metrics/job/a?b=c")),
                "{mode} {path}"
            );
        }
    }
}
