//! From the module to the Wasm filter and back, as docs/native.md describes: under load, without a restart.

use std::fs;
use std::path::Path;

use pushring::fleet::render;
use pushring_harness::load::Load;
use pushring_harness::{EnvoyFixture, Mode, Module, poll_until};

/// Virtual machines in use; Envoy drops the gauge with the last one.
const MACHINES: &str = "wasm.envoy.wasm.runtime.v8.active";

#[test]
fn switches_to_wasm_and_back_without_a_lost_push_or_a_moved_group() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::with_module(Module::Native, mode, 3);
        let (envoy, layout) = (&fleet.envoy, &fleet.layout);
        fs::copy(Module::Wasm.built().unwrap(), layout.dir().join(Module::Wasm.file())).unwrap();
        let before = envoy.status().unwrap();
        let load = Load::start(envoy.push, 2);
        for module in [Module::Wasm, Module::Native, Module::Wasm, Module::Native] {
            let path = Path::new("/etc/pushring").join(module.file());
            layout.write_live("ring.yaml", &render::ring(&fleet.config.to_string(), &path)).unwrap();
            poll_until("the other form to be in force", || {
                let machines = envoy.stat(MACHINES).ok()?.unwrap_or_default();
                ((machines > 0) == (module == Module::Wasm)).then_some(())
            })
            .unwrap();
        }
        let seen = load.stop();
        assert!(seen.failed.is_empty(), "{mode}: {:?}", seen.failed);
        let after = envoy.status().unwrap();
        assert_eq!((&after["digest"], &after["members"]), (&before["digest"], &before["members"]));
        let holders = fleet.holders();
        assert!(holders.values().all(|gateways| gateways.len() == 1), "{mode}: {holders:?}");
    }
}
