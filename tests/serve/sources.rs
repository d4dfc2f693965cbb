//! A group comes from its owner, or from a gateway that still has it.

use std::net::SocketAddr;

use pushring_harness::{GatewayFixture, Pushgateway, poll_until};
use pushring_router::Router;
use serde_json::json;

use crate::fixture::Serve;

const MIRROR: &str = "all";

/// A fleet that mirrors pushes, and a group: its path, owner and replica.
fn mirrored() -> (GatewayFixture, String, [usize; 2]) {
    let mut fleet = GatewayFixture::start(3);
    fleet.configure(json!({"mirror": MIRROR}));
    let path = fleet.path_of(0, "backup");
    let router = Router::parse(fleet.config.to_string().as_bytes()).unwrap();
    let key = router.group(path.as_bytes()).unwrap().key;
    let places: Vec<usize> = router.ring().clockwise(&key).take(2).collect();
    (fleet, path, [places[0], places[1]])
}

/// Kills a gateway and starts it at the same address, empty.
fn restart(fleet: &mut GatewayFixture, gateway: usize) {
    fleet.gateways[gateway].process.kill();
    let address: SocketAddr = fleet.gateways[gateway].address;
    let start = || Pushgateway::start_at(fleet.dir.path(), address, &[]).ok();
    fleet.gateways[gateway] = poll_until("the address", start).unwrap();
}

#[track_caller]
fn assert_source(text: &str, source: &str) {
    for other in ["owner", "replica", "former", "unknown"] {
        let count = u8::from(other == source);
        let line = format!("pushring_serve_groups{{source=\"{other}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn a_replica_answers_for_an_owner_that_is_down_or_came_back_empty() {
    let (mut fleet, path, [owner, replica]) = mirrored();
    for gateway in [owner, replica] {
        fleet.put(gateway, &path, "# TYPE size gauge\nsize 1\n");
    }
    let serve = Serve::start(&fleet, &[]);
    let before = serve.metrics();
    assert_source(&before, "owner");
    fleet.gateways[owner].process.kill();
    let without = serve.metrics();
    assert_source(&without, "replica");
    assert!(without.contains(&format!("pushring_serve_gateway_up{{gateway=\"g{owner}\"}} 0\n")), "{without}");
    let size = |text: &str| {
        text.lines().filter(|line| line.starts_with("size{")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(size(&without), size(&before));
    assert_eq!(serve.groups()[0]["gateway"], format!("g{replica}"));
    restart(&mut fleet, owner);
    let back = poll_until("the owner", || {
        let text = serve.metrics();
        text.contains(&format!("pushring_serve_gateway_up{{gateway=\"g{owner}\"}} 1\n")).then_some(text)
    });
    assert_source(&back.unwrap(), "replica");
    // One family is pushed again: the owner has it, the other one still comes from the replica.
    for gateway in [owner, replica] {
        assert_eq!(fleet.client(gateway).post(&path, "# TYPE count gauge\ncount 2\n").unwrap().status, 200);
    }
    let parts = serve.metrics();
    assert_eq!(size(&parts), size(&before));
    assert_eq!(parts.matches("\ncount{").count(), 1);
}

#[test]
fn a_group_that_a_running_owner_lacks_was_deleted() {
    let (fleet, path, [owner, replica]) = mirrored();
    let serve = Serve::start(&fleet, &[]);
    // Within two seconds of its start, the owner may have lost the push.
    poll_until("the deletion counts", || {
        for gateway in [owner, replica] {
            fleet.put(gateway, &path, "size 1\n");
        }
        assert!(serve.metrics().contains("\nsize{"));
        assert_eq!(fleet.client(owner).delete(&path).unwrap().status, 202);
        (!serve.metrics().contains("\nsize{")).then_some(())
    })
    .unwrap();
    assert_eq!(serve.groups().len(), 0);
}

#[test]
fn a_former_owner_keeps_its_groups_until_the_next_push() {
    let mut fleet = GatewayFixture::start(2);
    let path = fleet.path_of(0, "moved");
    fleet.put(1, &path, "size 1\n");
    // From now on, the ring is known; the push is older.
    fleet.configure(json!({}));
    let serve = Serve::start(&fleet, &[]);
    let moved = serve.metrics();
    assert!(moved.contains("\nsize{"), "{moved}");
    assert_source(&moved, "former");
    fleet.put(0, &path, "size 2\n");
    let pushed = serve.metrics();
    assert_eq!(pushed.matches("\nsize{").count(), 1, "{pushed}");
    assert!(pushed.contains("} 2\n"), "{pushed}");
    assert_source(&pushed, "owner");
}

#[test]
fn members_are_read_again_and_a_bad_file_keeps_the_last_ones() {
    let mut fleet = GatewayFixture::start(2);
    let paths = [0, 1].map(|owner| fleet.path_of(owner, "job"));
    for (owner, path) in paths.iter().enumerate() {
        fleet.put(owner, path, "size 1\n");
    }
    let serve = Serve::start(&fleet, &[]);
    assert_eq!(serve.metrics().matches("\nsize{").count(), 2);
    let left = fleet.addresses.pop().unwrap();
    fleet.configure(json!({}));
    assert_eq!(serve.metrics().matches("\nsize{").count(), 1);
    std::fs::write(fleet.config_file(), "{").unwrap();
    let last = serve.metrics();
    assert_eq!(last.matches("\nsize{").count(), 1);
    assert!(last.contains("pushring_serve_members_up 0\n"), "{last}");
    assert_eq!(serve.client.get("/-/ready").unwrap().status, 503);
    assert!(serve.log().contains("members cannot be read"), "{}", serve.log());
    fleet.addresses.push(left);
    fleet.configure(json!({}));
    assert_eq!(serve.metrics().matches("\nsize{").count(), 2);
    assert_eq!(serve.client.get("/-/ready").unwrap().status, 200);
}
