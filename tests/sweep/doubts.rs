//! Any doubt keeps the group.

use std::net::{Ipv6Addr, SocketAddr};

use hyper::header::LOCATION;
use pushring_harness::http::Response;
use pushring_harness::server::serve;
use pushring_harness::{GatewayFixture, Pushgateway};
use serde_json::json;

use crate::report::{doubled, sweep};

#[test]
fn an_owner_that_does_not_answer_keeps_what_it_owns_elsewhere() {
    let mut world = GatewayFixture::start(3);
    let (gone, there) = (world.path_of(0, 0), world.path_of(1, 0));
    world.put(2, &gone, "a 1\n");
    world.put(2, &there, "a 1\n");
    world.put(0, &gone, "a 2\n");
    world.put(1, &there, "a 2\n");
    world.age(2);
    let down = world.gateways.remove(0);
    drop(down);
    let output = sweep(&world, &["--orphans-after", "1m"]);
    assert_eq!(output.code, 1);
    assert_eq!(world.counts(), [1, 1], "the other group went");
    let json = output.json().unwrap();
    assert_eq!(json["unreadable"][0]["gateway"], "g0");
    assert!(output.stdout.contains("its owner g0 cannot be read"), "{output:?}");
}

#[test]
fn labels_that_cannot_be_told_keep_the_group() {
    let mut world = GatewayFixture::start(2);
    let path = world.path_of(0, 0);
    let hidden = world.path_of(0, 1);
    for gateway in [1, 0] {
        world.put(gateway, &path, "a 1\n");
        // The API shows this family in the place of the group's labels.
        world.put(gateway, &hidden, "labels 1\n");
    }
    world.age(1);
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![2, 1]), "the ordinary group went, the other stayed");
    assert!(output.stdout.contains("`labels`"), "{output:?}");
}

#[test]
fn a_value_that_is_not_utf8_keeps_the_group() {
    let mut world = GatewayFixture::with_flags(2, &["--push.disable-consistency-check"]);
    let bad = "/metrics/job@base64/_w/x/y";
    // Whatever the owner of what the API shows of it is, one of the two is not.
    for gateway in [0, 1] {
        let answer = world.client(gateway).put(bad, "a 1\n").unwrap();
        assert_eq!(answer.status, 202);
        world.age(gateway);
    }
    let output = sweep(&world, &["--orphans-after", "1m"]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1]));
    assert!(output.stdout.contains("not UTF-8"), "{output:?}");
}

#[test]
fn two_addresses_of_one_process_are_left_alone() {
    let mut world = GatewayFixture::start(1);
    let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let twin = Pushgateway::start_at(world.dir.path(), everywhere, &[]).unwrap();
    let port = twin.address.port();
    let one = SocketAddr::from(([127, 0, 0, 1], port));
    let other = SocketAddr::from(([127, 0, 0, 2], port));
    world.gateways = vec![twin];
    world.addresses = vec![one, other];
    world.configure(json!({}));
    let client = pushring_harness::http::Client::new(one).unwrap();
    for number in 0..10 {
        assert_eq!(client.put(&format!("/metrics/job/j{number}"), "a 1\n").unwrap().status, 200);
    }
    let output = sweep(&world, &["--orphans-after", "0s"]);
    assert_eq!(output.code, 1);
    assert!(output.stdout.contains("are one process"), "{output:?}");
    let held = client.get("/api/v1/metrics").unwrap().json().unwrap();
    assert_eq!(held["data"].as_array().unwrap().len(), 10);
}

#[test]
fn a_group_by_path_has_no_one_owner() {
    let (mut world, _) = doubled(2);
    world.age(1);
    world.configure(json!({"route_by": "path"}));
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (2, vec![1, 1]));
    assert!(output.stderr.contains("route_by: found \"path\", allowed \"group\" or \"job\""), "{output:?}");
}

#[test]
fn by_job_all_groups_of_a_job_belong_to_one_member() {
    let mut world = GatewayFixture::start(2);
    world.configure(json!({"route_by": "job"}));
    let owner = world.owner("/metrics/job/j");
    for instance in 0..10 {
        let path = format!("/metrics/job/j/instance/{instance}");
        world.put(1 - owner, &path, "a 1\n");
        world.put(owner, &path, "a 2\n");
    }
    world.age(1 - owner);
    assert_eq!(sweep(&world, &[]).code, 0);
    assert_eq!((world.counts()[owner], world.counts()[1 - owner]), (10, 0));
}

#[test]
fn a_gateway_whose_api_is_something_else_is_told_and_left_alone() {
    let mut world = GatewayFixture::start(2);
    let path = world.path_of(0, 0);
    world.put(1, &path, "a 1\n");
    // A Pushgateway below a prefix answers 404 where the API is looked for.
    let prefixed = Pushgateway::start(world.dir.path(), &["--web.route-prefix=/p"]).unwrap();
    world.addresses[0] = prefixed.address;
    world.gateways[0] = prefixed;
    world.configure(json!({}));
    let output = sweep(&world, &["--orphans-after", "0s"]);
    assert_eq!(output.code, 1);
    let reason = output.json().unwrap()["unreadable"][0]["reason"].to_string();
    assert!(reason.contains("/api/v1/status: HTTP 404"), "{reason}");
    assert_eq!(world.gateways[1].groups().unwrap().len(), 1);
}

#[test]
fn a_label_that_the_gateways_may_unescape_keeps_the_group() {
    // The gateways run with UTF-8 names, the settings do not say so: the path of {U__a} leads to {a} there.
    let mut world = GatewayFixture::with_flags(2, &["--push.enable-utf8-names"]);
    let path = |number: usize, name: &str| format!("/metrics/job/j{number}/{name}/v");
    let fits =
        |number: &usize| (world.owner(&path(*number, "U__a")), world.owner(&path(*number, "a"))) == (0, 1);
    let number = (0..).find(fits).unwrap();
    for gateway in [1, 0] {
        world.put(gateway, &path(number, "U__U____a"), "a 1\n");
    }
    world.put(1, &path(number, "a"), "b 1\n");
    world.age(1);
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 2]));
    assert!(world.gateways[1].metrics().unwrap().contains("b{"), "{output:?}");
}

#[test]
fn where_a_redirect_leads_is_another_gateway() {
    let (mut world, _) = doubled(2);
    world.age(1);
    let elsewhere = world.addresses[1];
    world.addresses[1] = serve(move |request| {
        let location = format!("http://{elsewhere}{}", request.path).parse()?;
        Ok(Response { status: 307, headers: [(LOCATION, location)].into_iter().collect(), body: "".into() })
    })
    .unwrap();
    world.configure(json!({}));
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1]));
    assert!(output.stdout.contains("HTTP 307"), "{output:?}");
}
