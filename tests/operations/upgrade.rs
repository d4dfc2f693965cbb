//! Upgrade of Envoy and of the filter, under load.

use std::fs;

use pushring_harness::{Envoy, Mode, poll_until, tools};

use crate::load::Load;
use crate::stack::Stack;

#[test]
fn a_second_envoy_takes_over() {
    let mut stack = Stack::start(Mode::Cluster, 3, &[]);
    let digest = stack.envoy.status().unwrap()["digest"].clone();
    let old_load = Load::start(stack.envoy.push);
    let new = Envoy::start(&stack.layout, 2).unwrap();
    assert_eq!(new.status().unwrap()["digest"], digest, "both have one ring");
    let new_load = Load::start(new.push);
    // The load balancer's part: nobody opens connections to the old one any more.
    let seen = old_load.stop();
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
    let admin = pushring_harness::http::Client::new(stack.envoy.admin).unwrap();
    assert_eq!(admin.post("/drain_listeners?graceful", "").unwrap().status, 200);
    assert_eq!(admin.post("/quitquitquit", "").unwrap().status, 200);
    poll_until("the old Envoy to end", || stack.envoy.process.ended()).unwrap();
    let seen = new_load.stop();
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
}

#[test]
fn a_new_filter_is_loaded_by_the_next_ring_file() {
    let mut stack = Stack::start(Mode::Cluster, 3, &[]);
    let created = || stack.envoy.stat("wasm.envoy.wasm.runtime.v8.created").unwrap().unwrap_or(0);
    let before = created();
    let folder = stack.dir().join("pushring");
    // Another module to Envoy: the same code with a custom section named `new` at its end.
    let module = [fs::read(tools::wasm().unwrap()).unwrap(), b"\x00\x04\x03new".to_vec()].concat();
    fs::write(folder.join("pushring_filter-0.2.0.wasm"), module).unwrap();
    stack
        .templates
        .edit("ring.yaml.ctmpl", &[("pushring_filter.wasm", "pushring_filter-0.2.0.wasm")])
        .unwrap();

    let load = Load::start(stack.envoy.push);
    let template = stack.templates.start(&stack.consul).unwrap();
    std::mem::replace(&mut stack.template, template).stop().unwrap();
    let ring = folder.join("live/ring.yaml");
    poll_until("the ring to name the new filter", || {
        fs::read_to_string(&ring).unwrap().contains("pushring_filter-0.2.0.wasm").then_some(())
    })
    .unwrap();
    poll_until("Envoy to load it", || (created() > before).then_some(())).unwrap();
    let new = stack.add_gateway();
    stack.register(&[new]);
    stack.wait_ring(&stack.addresses());
    let seen = load.stop();
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
}
