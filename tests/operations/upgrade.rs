//! Upgrades of Envoy and of the filter under load.

use std::fs;

use pushring_harness::{ConsulFixture, Envoy, Mode, Module, poll_until};

use pushring_harness::load::Load;

#[test]
fn a_second_envoy_takes_over() {
    let mut fixture = ConsulFixture::start(Mode::Cluster, 3, &[]);
    let digest = fixture.envoy.status().unwrap()["digest"].clone();
    let old_load = Load::start(fixture.envoy.push, 2);
    let new = Envoy::start(&fixture.layout, 2).unwrap();
    assert_eq!(new.status().unwrap()["digest"], digest, "both have one ring");
    let new_load = Load::start(new.push, 2);
    // A load balancer opens no more connections to the old Envoy.
    let seen = old_load.stop();
    seen.assert_none_failed();
    let admin = pushring_harness::http::Client::new(fixture.envoy.admin).unwrap();
    assert_eq!(admin.post("/drain_listeners?graceful", "").unwrap().status, 200);
    assert_eq!(admin.post("/quitquitquit", "").unwrap().status, 200);
    poll_until("the old Envoy to end", || fixture.envoy.process.ended()).unwrap();
    let seen = new_load.stop();
    seen.assert_none_failed();
}

#[test]
fn a_new_filter_is_loaded_by_the_next_ring_file() {
    let mut fixture = ConsulFixture::start(Mode::Cluster, 3, &[]);
    let created = || fixture.envoy.stat("wasm.envoy.wasm.runtime.v8.created").unwrap().unwrap_or(0);
    let before = created();
    let folder = fixture.dir.path().join("pushring");
    let form = fixture.layout.form();
    let (file, new) = (form.file(), form.file().replace('.', "-0.2.0."));
    let mut module = fs::read(form.built().unwrap()).unwrap();
    if form == Module::Wasm {
        // Envoy regards it as another module: the same code with a custom section `new` at the end.
        module.extend(b"\x00\x04\x03new");
    }
    fs::write(folder.join(&new), module).unwrap();
    fixture.templates.edit("pushring.hcl", &[(file, &new)]).unwrap();
    let maps = format!("/proc/{}/maps", fixture.envoy.process.id());
    let loaded = || match form {
        Module::Wasm => created() > before,
        Module::Native => fs::read_to_string(&maps).unwrap().contains(&new),
    };

    let load = Load::start(fixture.envoy.push, 2);
    let template = fixture.templates.start(fixture.consul.address).unwrap();
    std::mem::replace(&mut fixture.consul_template, template).stop().unwrap();
    let ring = folder.join("live/ring.yaml");
    poll_until("the ring to name the new filter", || {
        fs::read_to_string(&ring).unwrap().contains(&new).then_some(())
    })
    .unwrap();
    poll_until("Envoy to load it", || loaded().then_some(())).unwrap();
    let gateway = fixture.add_gateway();
    fixture.register(&[gateway]);
    fixture.wait_ring(&fixture.addresses());
    let seen = load.stop();
    seen.assert_none_failed();
}
