//! A doubt keeps the copy.

use std::net::{Ipv6Addr, SocketAddr};

use hyper::header::LOCATION;
use pushring_harness::http::Response;
use pushring_harness::server::serve;
use pushring_harness::{GatewayFixture, Pushgateway};
use serde_json::json;

use crate::report::{doubled, misplaced, sweep};

#[test]
fn keeps_copies_of_an_owner_that_does_not_answer() {
    let mut fixture = GatewayFixture::start(3);
    let (gone, there) = (fixture.path_of(0, 0), fixture.path_of(1, 0));
    fixture.put(2, &gone, "a 1\n");
    fixture.put(2, &there, "a 1\n");
    fixture.put(0, &gone, "a 2\n");
    fixture.put(1, &there, "a 2\n");
    fixture.age(2);
    let down = fixture.gateways.remove(0);
    drop(down);
    let output = sweep(&fixture, &["--orphans-after", "1m"]);
    assert_eq!(output.code, 1);
    assert_eq!(fixture.counts(), [1, 1], "the other group went");
    let json = output.json().unwrap();
    assert_eq!(json["unreadable"][0]["gateway"], "g0");
    let codes: Vec<_> = json["misplaced"].as_array().unwrap().iter().map(|copy| &copy["code"]).collect();
    assert!(codes.contains(&&json!("owner_unreadable")), "{output:?}");
}

#[test]
fn keeps_a_group_with_ambiguous_labels() {
    let mut fixture = GatewayFixture::start(2);
    let path = fixture.path_of(0, 0);
    let hidden = fixture.path_of(0, 1);
    for gateway in [1, 0] {
        fixture.put(gateway, &path, "a 1\n");
        // The API shows this family in place of the group's labels.
        fixture.put(gateway, &hidden, "labels 1\n");
    }
    fixture.age(1);
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![2, 1]), "the ordinary group went, the other stayed");
    assert_eq!(misplaced(&output)["g0"].1, "unknown_labels", "{output:?}");
}

#[test]
fn keeps_a_group_with_a_value_that_is_not_utf8() {
    let mut fixture = GatewayFixture::with_flags(2, &["--push.disable-consistency-check"]);
    let bad = "/metrics/job@base64/_w/x/y";
    // One of the two gateways does not own the group that the API shows.
    for gateway in [0, 1] {
        let answer = fixture.client(gateway).put(bad, "a 1\n").unwrap();
        assert_eq!(answer.status, 202);
        fixture.age(gateway);
    }
    let output = sweep(&fixture, &["--orphans-after", "1m"]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1]));
    assert!(misplaced(&output).values().all(|(_, code)| code == "not_utf8"), "{output:?}");
}

#[test]
fn ignores_two_addresses_of_one_process() {
    let mut fixture = GatewayFixture::start(1);
    let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let twin = Pushgateway::start_at(fixture.dir.path(), everywhere, &[]).unwrap();
    let port = twin.address.port();
    let one = SocketAddr::from(([127, 0, 0, 1], port));
    let other = SocketAddr::from(([127, 0, 0, 2], port));
    fixture.gateways = vec![twin];
    fixture.addresses = vec![one, other];
    fixture.configure(json!({}));
    let client = pushring_harness::http::Client::new(one).unwrap();
    for number in 0..10 {
        assert_eq!(client.put(&format!("/metrics/job/j{number}"), "a 1\n").unwrap().status, 200);
    }
    let output = sweep(&fixture, &["--orphans-after", "1s"]);
    assert_eq!(output.code, 1);
    assert!(output.stdout.contains("are one process"), "{output:?}");
    let held = client.get("/api/v1/metrics").unwrap().json().unwrap();
    assert_eq!(held["data"].as_array().unwrap().len(), 10);
}

#[test]
fn rejects_routing_by_path() {
    let (mut fixture, _) = doubled(2);
    fixture.age(1);
    fixture.configure(json!({"route_by": "path"}));
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (2, vec![1, 1]));
    assert!(output.stderr.contains("route_by: found \"path\", allowed \"group\" or \"job\""), "{output:?}");
}

#[test]
fn moves_all_groups_of_a_job_to_one_member() {
    let mut fixture = GatewayFixture::start(2);
    fixture.configure(json!({"route_by": "job"}));
    let owner = fixture.owner("/metrics/job/j");
    for instance in 0..10 {
        let path = format!("/metrics/job/j/instance/{instance}");
        fixture.put(1 - owner, &path, "a 1\n");
        fixture.put(owner, &path, "a 2\n");
    }
    fixture.age(1 - owner);
    assert_eq!(sweep(&fixture, &[]).code, 0);
    assert_eq!((fixture.counts()[owner], fixture.counts()[1 - owner]), (10, 0));
}

#[test]
fn reports_a_gateway_without_the_api_and_ignores_it() {
    let mut fixture = GatewayFixture::start(2);
    let path = fixture.path_of(0, 0);
    fixture.put(1, &path, "a 1\n");
    // A Pushgateway with a route prefix answers 404 to the usual path of the API.
    let prefixed = Pushgateway::start(fixture.dir.path(), &["--web.route-prefix=/p"]).unwrap();
    fixture.addresses[0] = prefixed.address;
    fixture.gateways[0] = prefixed;
    fixture.configure(json!({}));
    let output = sweep(&fixture, &["--orphans-after", "1s"]);
    assert_eq!(output.code, 1);
    let reason = output.json().unwrap()["unreadable"][0]["reason"].to_string();
    assert!(reason.contains("/api/v1/status: HTTP 404"), "{reason}");
    assert_eq!(fixture.gateways[1].groups().unwrap().len(), 1);
}

#[test]
fn keeps_a_group_whose_label_the_gateway_may_unescape() {
    // The gateways run with UTF-8 names but the settings do not say so: the path of {U__a} leads to {a} there.
    let mut fixture = GatewayFixture::with_flags(2, &["--push.enable-utf8-names"]);
    let path = |number: usize, name: &str| format!("/metrics/job/j{number}/{name}/v");
    let fits = |number: &usize| {
        (fixture.owner(&path(*number, "U__a")), fixture.owner(&path(*number, "a"))) == (0, 1)
    };
    let number = (0..).find(fits).unwrap();
    for gateway in [1, 0] {
        fixture.put(gateway, &path(number, "U__U____a"), "a 1\n");
    }
    fixture.put(1, &path(number, "a"), "b 1\n");
    fixture.age(1);
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 2]));
    assert!(fixture.gateways[1].metrics().unwrap().contains("b{"), "{output:?}");
}

#[test]
fn follows_no_redirect_to_another_gateway() {
    let (mut fixture, _) = doubled(2);
    fixture.age(1);
    let elsewhere = fixture.addresses[1];
    fixture.addresses[1] = serve(move |request| {
        let location = format!("http://{elsewhere}{}", request.path).parse()?;
        Ok(Response { status: 307, headers: [(LOCATION, location)].into_iter().collect(), body: "".into() })
    })
    .unwrap();
    fixture.configure(json!({}));
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1]));
    assert!(output.stdout.contains("HTTP 307"), "{output:?}");
}
