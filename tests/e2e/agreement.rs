//! Two Envoys agree on every owner, whatever the order of their members.

use pushring_harness::{Envoy, Layout, Mode, Ports, envoy_files};

use pushring_harness::EnvoyFixture;

#[test]
fn envoys_with_differently_ordered_members_agree() {
    for mode in Mode::ALL {
        let first = EnvoyFixture::start(mode, 5);
        let mut members = envoy_files::members(&first.config.to_string());
        members.reverse();
        members.swap(0, 2);
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path(), mode, Ports::default()).unwrap();
        layout.write(&envoy_files::config(mode, &members).unwrap()).unwrap();
        let second = Envoy::start(&layout, 1).unwrap();

        assert_eq!(first.envoy.status().unwrap(), second.status().unwrap());
        let clients = [first.envoy.client().unwrap(), second.client().unwrap()];
        for number in 0..300 {
            let path = format!("/metrics/job/j{number}/instance/{}", number % 7);
            let [one, two] = clients.each_ref().map(|client| {
                client.send("GET", &path, &[("accept", "application/json")], "").unwrap().json().unwrap()
            });
            assert_eq!(one, two, "{mode}");
            assert_eq!(one["owner"]["address"], first.gateways[first.owner(&path)].address.to_string());
        }
    }
}
