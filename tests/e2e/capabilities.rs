//! No push reaches a wrong gateway if an entry is missing from the shipped capability list. The tests in
//! tests/wasm/capabilities.rs show that the list is complete and minimal.

use std::fs;
use std::path::Path;

use pushring_harness::{Envoy, Layout, Member, Mode, Module, Ports, Pushgateway, envoy_files};
use pushring_router::Router;

const PUSHES: usize = 12;

/// The status of a push without each entry; `None` if Envoy does not start. An entry of "" removes nothing.
const EXPECTED: [(&str, Option<u16>); 14] = [
    ("", Some(200)),
    ("proxy_on_configure", Some(503)),
    ("proxy_on_context_create", None),
    ("proxy_on_request_headers", Some(404)),
    ("proxy_on_delete", Some(200)), // the VM leaks memory
    ("proxy_log", None),
    ("proxy_get_buffer_bytes", None),
    ("proxy_get_header_map_value", Some(503)),
    ("proxy_replace_header_map_value", Some(503)),
    ("proxy_remove_header_map_value", Some(503)),
    ("proxy_send_local_response", Some(200)), // only replies fail
    ("proxy_define_metric", None),
    ("proxy_increment_metric", None),
    ("proxy_record_metric", None),
];

fn remove_entry(file: &Path, entry: &str) {
    let text = fs::read_to_string(file).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| line.trim() != format!("{entry}: {{}}")).collect();
    assert_eq!(kept.len() < text.lines().count(), !entry.is_empty(), "{entry} in {}", file.display());
    fs::write(file, kept.join("\n")).unwrap();
}

#[test]
fn without_an_entry_no_push_reaches_a_wrong_gateway() {
    for mode in Mode::ROUTED {
        let dir = tempfile::tempdir().unwrap();
        let gateways: Vec<_> = (0..3).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect();
        let members: Vec<Member> = gateways.iter().map(|gateway| gateway.address.into()).collect();
        let config = envoy_files::config(mode, &members).unwrap();
        let router = Router::parse(config.to_string().as_bytes()).unwrap();
        let owner = |job: &str| {
            let path = format!("/metrics/job/{job}");
            router.owner_of(path.as_bytes()).unwrap().owner.unwrap().address.clone()
        };
        for (entry, expected) in EXPECTED {
            let layout = Layout::with_module(
                Module::Wasm,
                &dir.path().join(format!("without-{entry}")),
                mode,
                Ports::default(),
                &[],
            )
            .unwrap();
            layout.write(&config).unwrap();
            remove_entry(&layout.bootstrap(), entry);
            remove_entry(&layout.live().join("ring.yaml"), entry);
            let envoy = Envoy::start(&layout, 1);
            assert_eq!(envoy.is_ok(), expected.is_some(), "{mode} without {entry}: {envoy:?}");
            let (Ok(envoy), Some(expected)) = (envoy, expected) else { continue };
            let client = envoy.client().unwrap();
            for push in 0..PUSHES {
                let job = format!("without-{entry}-{push}");
                let other =
                    gateways.iter().find(|gateway| gateway.address.to_string() != owner(&job)).unwrap();
                let forged = match mode {
                    Mode::Cluster => format!("pushgateway-{}", other.address),
                    _ => other.address.to_string(),
                };
                let headers =
                    ["x-pushring-destination", "x-pushring-destination-mirror"].map(|name| (name, &*forged));
                let answer = client.send("PUT", &format!("/metrics/job/{job}"), &headers, "x 1\n").unwrap();
                assert_eq!(answer.status, expected, "{mode} without {entry}: {}", answer.text());
            }
        }
        for gateway in &gateways {
            for group in gateway.groups().unwrap() {
                assert_eq!(gateway.address.to_string(), owner(&group["job"]), "{mode}: {group:?}");
            }
        }
    }
}
