//! The changes that `publish` makes to the files, step by step. With a real Envoy: tests/membership/publish.rs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use pushring::command::publish::{CLUSTERS_FILE, ENDPOINTS_FILE, RING_FILE, publish};
use pushring::error::BadInput;
use pushring::fleet::access::Access;
use pushring::fleet::members::Members;
use pushring::fleet::render;
use pushring::fleet::ring_file::{RingFile, filter_json};
use serde_json::{Value, json};

use crate::folders::{Folders, repository};

const A: &str = "10.0.0.1:9091";
const B: &str = "10.0.0.2:9091";
const C: &str = "10.0.0.3:9091";
const NOTE: &str = ".publish/departed.json";

fn cluster(name: &str) -> String {
    format!("pushgateway-{name}")
}

#[test]
fn first_publication_moves_clusters_then_ring() {
    let folders = Folders::new();
    folders.register(&[A, B], &[C]);
    let report = folders.publish();
    assert_eq!(report.moved, [CLUSTERS_FILE, RING_FILE]);
    assert_eq!((report.members, report.added.len()), (2, 3));
    assert_eq!(folders.live_clusters(), [A, B, C].map(cluster));
    let names = folders.live_ring().config.members.into_iter().map(|member| member.name);
    assert_eq!(names.collect::<Vec<_>>(), [A, B]);
}

#[test]
fn an_unchanged_file_is_not_moved() {
    let folders = Folders::new();
    folders.register(&[A], &[B]);
    folders.publish();
    let inode = |file| fs::metadata(folders.live(file)).unwrap().ino();
    let before = [inode(CLUSTERS_FILE), inode(RING_FILE)];
    assert!(folders.publish().moved.is_empty());
    assert_eq!(before, [inode(CLUSTERS_FILE), inode(RING_FILE)]);
    // B turns passing: its cluster is live already, so only the ring moves.
    folders.register(&[A, B], &[]);
    assert_eq!(folders.publish().moved, [RING_FILE]);
}

#[test]
fn a_cluster_that_left_outlives_the_ring_by_the_grace_time() {
    let folders = Folders::new();
    folders.register(&[A, B], &[]);
    folders.publish();
    folders.register(&[A], &[]);
    let mut options = folders.options();
    // Without any grace time, too: this publication takes B off the ring, so it cannot drop the cluster.
    let report = folders.publish_with(&options).unwrap();
    assert_eq!(
        (report.kept.as_slice(), report.moved.as_slice()),
        ([cluster(B)].as_slice(), [RING_FILE].as_slice())
    );
    options.grace = Duration::from_secs(3600);
    assert_eq!(folders.publish_with(&options).unwrap().kept, [cluster(B)]);
    options.grace = Duration::ZERO;
    let report = folders.publish_with(&options).unwrap();
    assert_eq!((report.dropped.as_slice(), report.kept.len()), ([cluster(B)].as_slice(), 0));
    assert_eq!(folders.live_clusters(), [cluster(A)]);
}

#[test]
fn a_kept_cluster_keeps_all_its_fields() {
    let folders = Folders::new();
    folders.register(&[A, B], &[]);
    folders.publish();
    let mut live = folders.live_yaml(CLUSTERS_FILE);
    live["resources"][1]["field_of_another_version"] = json!("1e3");
    fs::write(folders.live(CLUSTERS_FILE), live.to_string()).unwrap();
    folders.register(&[A, C], &[]);
    folders.publish();
    assert_eq!(folders.live_yaml(CLUSTERS_FILE)["resources"][2], live["resources"][1]);
}

#[test]
fn a_cluster_that_came_back_restarts_its_grace_time() {
    let folders = Folders::new();
    let mut options = folders.options();
    options.grace = Duration::from_secs(3600);
    for members in [&[A, B][..], &[A], &[A, B], &[A]] {
        folders.register(members, &[]);
        folders.publish_with(&options).unwrap();
    }
    let note = || fs::read_to_string(folders.live(NOTE)).unwrap();
    let departed: Value = serde_json::from_str(&note()).unwrap();
    assert_eq!(departed.as_object().unwrap().len(), 1);
    folders.register(&[A, B], &[]);
    folders.publish_with(&options).unwrap();
    assert_eq!(note(), "{}");
}

#[test]
fn a_departure_in_the_future_counts_from_now() {
    let folders = Folders::new();
    folders.register(&[A, B], &[]);
    folders.publish();
    folders.register(&[A], &[]);
    folders.publish();
    let future = u64::MAX;
    fs::write(folders.live(NOTE), json!({cluster(B): future}).to_string()).unwrap();
    let mut options = folders.options();
    options.grace = Duration::from_secs(3600);
    assert_eq!(folders.publish_with(&options).unwrap().kept, [cluster(B)]);
    let note: Value = serde_json::from_str(&fs::read_to_string(folders.live(NOTE)).unwrap()).unwrap();
    assert!(note[cluster(B)].as_u64().unwrap() < future);
}

#[test]
fn a_bad_ring_never_goes_live() {
    let folders = Folders::new();
    folders.register(&[A, B], &[]);
    folders.publish();
    let live = |file| fs::read_to_string(folders.live(file)).unwrap();
    let before = [live(CLUSTERS_FILE), live(RING_FILE)];
    let assert_rejected = |message: &str| {
        let error = folders.publish_with(&folders.options()).unwrap_err();
        assert!(error.is::<BadInput>());
        assert!(format!("{error:#}").contains(message), "{error:#}");
        assert_eq!(before, [live(CLUSTERS_FILE), live(RING_FILE)]);
    };
    folders.register(&[], &[A, B, C]);
    assert_rejected("members: found 0 members, allowed at least 2 (min_members)");
    folders.register(&[A, B, C], &[]);
    folders.settings(&json!({"color": 1}));
    assert_rejected("found unknown field \"color\"");
    folders.settings(&json!({}));
    let cut = json!({"registrations": [{"address": "10.0.0.1", "port": 9091}]}).to_string();
    fs::write(folders.registrations(), &cut[..cut.len() / 2]).unwrap();
    assert_rejected("registrations.json: registrations[0]: EOF while parsing");
    fs::remove_file(folders.registrations()).unwrap();
    assert_rejected("registrations.json");
}

/// The renderer makes no such pair; this is the last line of defense.
#[test]
fn a_ring_without_its_clusters_never_goes_live() {
    let folders = Folders::new();
    folders.register(&[A], &[]);
    folders.publish();
    let mut members = Members::from_config(&json!({"members": [A, B]}).to_string()).unwrap();
    members.clusters.pop();
    let error = publish(&members, &folders.options()).unwrap_err().to_string();
    assert!(error.contains("ring.yaml names pushgateway-10.0.0.2:9091"), "{error}");
    assert_eq!(folders.live_ring().config.members.len(), 1);
}

#[test]
fn too_few_members_at_the_very_first_start_make_an_empty_ring() {
    let folders = Folders::new();
    folders.settings(&json!({"route_by": "job"}));
    folders.register(&[A], &[B, C, "10.0.0.4:9091"]);
    let report = folders.publish();
    let ring = folders.live_ring();
    assert_eq!((report.members, ring.config.members.len()), (0, 0));
    assert!(ring.text.contains(r#""route_by":"job""#), "{}", ring.text);
    assert!(report.warnings[0].contains("allowed at least 2"), "{:?}", report.warnings);
    // Any other fault is an error.
    let folders = Folders::new();
    folders.register(&[], &[]);
    folders.settings(&json!({"color": 1}));
    assert!(folders.publish_with(&folders.options()).unwrap_err().is::<BadInput>());
    assert!(!folders.live(RING_FILE).exists());
}

#[test]
fn in_redirect_mode_there_is_only_the_ring() {
    let folders = Folders::new();
    folders.register(&[A], &[]);
    folders.settings(&json!({"mode": "redirect"}));
    assert_eq!(folders.publish().moved, [RING_FILE]);
    assert!(!folders.live(CLUSTERS_FILE).exists() && !folders.live(ENDPOINTS_FILE).exists());
}

/// Otherwise a push by the old ring would skip the endpoint that left and reach a gateway that the new ring does not mean.
#[test]
fn an_endpoint_outlives_the_ring_as_a_cluster_does() {
    let folders = Folders::new();
    folders.settings(&json!({"mode": "endpoint"}));
    folders.register(&[A, B], &[]);
    assert_eq!(folders.publish().moved, [ENDPOINTS_FILE, RING_FILE]);
    // C joins as B leaves: for now all three are known.
    folders.register(&[A, C], &[]);
    let report = folders.publish();
    assert_eq!((report.added, report.kept), (vec![C.to_owned()], vec![B.to_owned()]));
    let live = folders.live_yaml(ENDPOINTS_FILE);
    assert_eq!(live["resources"][0]["endpoints"][0]["lb_endpoints"].as_array().unwrap().len(), 3);
    assert_eq!(folders.publish().dropped, [B]);
}

#[test]
fn an_unreadable_live_ring_is_replaced_and_nothing_is_dropped() {
    let folders = Folders::new();
    folders.register(&[A, B], &[]);
    folders.publish();
    folders.register(&[A], &[]);
    folders.publish();
    let ring = folders.live_ring().text.replace("\"min_members\"", "\"field_of_another_version\"");
    fs::write(folders.live(RING_FILE), ring).unwrap();
    let report = folders.publish();
    assert_eq!(
        (report.kept.as_slice(), report.moved.as_slice()),
        ([cluster(B)].as_slice(), [RING_FILE].as_slice())
    );
}

#[test]
fn skipped_registrations_become_warnings() {
    let folders = Folders::new();
    folders.register(&[A, "10.0.0.9:0"], &[]);
    assert_eq!(folders.publish().warnings, ["skipped: 10.0.0.9:0: port: found 0, allowed 1 to 65535"]);
}

/// They are the cause: without them, the operator sees only a number.
#[test]
fn a_rejected_ring_names_the_skipped_registrations() {
    let folders = Folders::new();
    folders.register(&[A, B], &[]);
    folders.publish();
    folders.register(&["10.0.0.8:0", "10.0.0.9:0"], &[A]);
    let output = Command::new(env!("CARGO_BIN_EXE_pushring"))
        .args(["publish", "--output", "json", "--registrations"])
        .arg(folders.registrations())
        .arg("--settings")
        .arg(folders.settings_file())
        .arg("--live")
        .arg(folders.live(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
    for reason in [
        "skipped: 10.0.0.8:0: port: found 0, allowed 1 to 65535",
        "skipped: 10.0.0.9:0: port: found 0, allowed 1 to 65535",
        "members: found 0 members, allowed at least 1",
    ] {
        assert_eq!(said.matches(reason).count(), 1, "{reason}: {said}");
    }
    assert_eq!(folders.live_ring().config.members.len(), 2);
}

/// After an intended change, write them with `BLESS=1` and review the difference.
#[test]
fn the_shipped_live_files_are_rendered() {
    for mode in ["cluster", "endpoint", "redirect"] {
        let folder = repository().join("envoy/live").join(mode);
        let shipped = |file| fs::read_to_string(folder.join(file)).unwrap();
        let config = filter_json(&shipped(RING_FILE)).unwrap();
        let members = Members::from_config(&config).unwrap();
        assert_eq!((members.clusters.len(), members.endpoints.len()), (3, 3));
        let mut files = vec![(RING_FILE, render::ring(&config, &Folders::new().options().module))];
        match mode {
            "cluster" => files
                .push((CLUSTERS_FILE, render::clusters(&members.clusters, &Access::default(), "".as_ref()))),
            "endpoint" => files.push((ENDPOINTS_FILE, render::endpoints(&members.endpoints))),
            _ => {}
        }
        for (file, text) in files {
            if std::env::var_os("BLESS").is_some() {
                fs::write(folder.join(file), &text).unwrap();
            }
            assert_eq!(text, shipped(file), "{mode}/{file}");
        }
        RingFile::read(&folder.join(RING_FILE)).unwrap();
    }
}

#[test]
fn quotes_a_path_that_is_not_a_plain_word() {
    let config = json!({"members": [A]}).to_string();
    for wasm in ["/etc/pushring/pushring_filter.wasm", "/srv/a b: {c} #d, \"e\"/filter.wasm"] {
        let text = render::ring(&config, wasm.as_ref());
        let file: Value = serde_saphyr::from_str(&text).unwrap();
        let code = &file["resources"][0]["typed_config"]["config"]["vm_config"]["code"];
        assert_eq!(code["local"]["filename"], wasm);
    }
}

#[test]
fn a_shared_object_gets_the_ring_of_the_native_module() {
    let config = json!({"members": [A]}).to_string();
    let module = "/srv/libpushring_native-0.3.0.so";
    let ring = RingFile::build(render::ring(&config, module.as_ref())).unwrap();
    assert_eq!(ring.config.members.len(), 1);
    let file: Value = serde_saphyr::from_str(&ring.text).unwrap();
    let found = &file["resources"][0]["typed_config"]["dynamic_module_config"]["module"]["local"]["filename"];
    assert_eq!(found, module);
}

/// 1,024 clusters pass the limits of the YAML library, and pass them again as kept ones.
#[test]
fn as_many_clusters_as_a_ring_can_have() {
    let folders = Folders::new();
    let names: Vec<String> = (0..1024).map(|n| format!("10.0.{}.{}:9091", n / 256, n % 256)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    folders.register(&names, &[]);
    assert_eq!(folders.publish().added.len(), 1024);
    folders.register(&names[..1], &[]);
    assert_eq!(folders.publish().kept.len(), 1023);
    assert_eq!(folders.live_clusters().len(), 1024);
}
