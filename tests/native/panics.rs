//! A fault in the module ends one request, and not Envoy.

use std::fs;

use pushring_harness::{Envoy, Layout, Mode, Module, Ports, Pushgateway, envoy_files, tools};

#[test]
fn a_panic_is_answered_500_counted_and_logged_once() {
    for mode in Mode::ALL {
        let dir = tempfile::tempdir().unwrap();
        let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
        let layout =
            Layout::with_module(Module::Native, &dir.path().join("pushring"), mode, Ports::default(), &[])
                .unwrap();
        fs::copy(tools::native_with_panics().unwrap(), layout.module()).unwrap();
        layout.write(&envoy_files::config(mode, &[gateway.address.into()]).unwrap()).unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        let client = envoy.client().unwrap();
        for _ in 0..3 {
            let answer = client.put("/panic", "x 1\n").unwrap();
            assert_eq!(
                (answer.status, answer.text().contains("a fault in the module")),
                (500, true),
                "{mode}"
            );
        }
        envoy.wait_stat("wasmcustom.pushring_panics", |panics| panics == 3).unwrap();
        let log = envoy.process.log();
        assert_eq!(log.matches("a fault in the module, please report it").count(), 1, "{mode}: {log}");
        assert!(log.contains("pushring_panic"), "{mode}: the access log has the reason");
        let pushed = client.put("/metrics/job/a", "x 1\n").unwrap().status;
        assert_eq!(pushed, if mode == Mode::Redirect { 307 } else { 200 }, "{mode}");
    }
}
