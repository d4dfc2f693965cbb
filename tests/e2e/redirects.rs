//! Redirect mode: the answer names the owner, and the push of a client that follows it succeeds.

use std::collections::BTreeSet;

use pushring_harness::Mode;
use pushring_harness::http::Client;

use pushring_harness::EnvoyFixture;

#[test]
fn a_push_is_sent_to_its_owner_byte_for_byte() {
    let fleet = EnvoyFixture::start(Mode::Redirect, 3);
    let clients = [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()];
    for (client, method) in
        clients.iter().flat_map(|client| ["PUT", "POST", "DELETE", "PATCH"].map(|m| (client, m)))
    {
        for path in ["/metrics/job/a%2fb/c/%zz+", "/metrics/job@base64/YQ==/x/1?q=/y&z", "/metrics/job/a/odd"]
        {
            let answer = client.send(method, path, &[], "x 1\n").unwrap();
            let owner = fleet.gateways[fleet.owner(path)].address;
            assert_eq!(answer.status, 307, "{method} {path}");
            assert_eq!(answer.header("location"), Some(format!("http://{owner}{path}").as_str()));
        }
    }
}

#[test]
fn following_the_answer_stores_the_group_on_its_owner_only() {
    let fleet = EnvoyFixture::start(Mode::Redirect, 3);
    let client = fleet.envoy.client().unwrap();
    for number in 0..20 {
        let answer = client.put(&format!("/metrics/job/j{number}"), "x 1\n").unwrap();
        let (address, path) = answer.header("location").unwrap()["http://".len()..].split_once('/').unwrap();
        let gateway = Client::new(address.parse().unwrap()).unwrap();
        assert_eq!(gateway.put(&format!("/{path}"), "x 1\n").unwrap().status, 200);
    }
    let holders = fleet.holders();
    assert_eq!(holders.len(), 20);
    for (group, holders) in holders {
        assert_eq!(holders, BTreeSet::from([fleet.owner(&format!("/metrics/job/{}", group["job"]))]));
    }
}
