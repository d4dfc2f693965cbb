//! What `publish` does to the files, step by step. With a real Envoy: tests/membership/publish.rs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::folders::{Folders, stage_ring};
use pushring::error::BadInput;
use pushring::publish::{CLUSTERS_FILE, ENDPOINTS_FILE, RENDERED_FILE, RING_FILE, publish};
use pushring::ring_file::RingFile;
use serde_json::{Value, json};

const A: &str = "10.0.0.1:9091";
const B: &str = "10.0.0.2:9091";
const C: &str = "10.0.0.3:9091";

fn cluster(name: &str) -> String {
    format!("pushgateway-{name}")
}

#[test]
fn first_publication_moves_clusters_then_ring() {
    let folders = Folders::new();
    folders.stage(&[A, B], &[C]);
    let report = folders.publish();
    assert_eq!(report.moved, [CLUSTERS_FILE, RING_FILE]);
    assert_eq!((report.members, report.added.len()), (2, 3));
    assert_eq!(
        fs::read(folders.live(RING_FILE)).unwrap(),
        fs::read(folders.staged().join(RING_FILE)).unwrap()
    );
}

#[test]
fn a_file_that_did_not_change_is_not_moved() {
    let folders = Folders::new();
    folders.stage(&[A], &[B]);
    folders.publish();
    let inode = |file| fs::metadata(folders.live(file)).unwrap().ino();
    let before = [inode(CLUSTERS_FILE), inode(RING_FILE)];
    assert!(folders.publish().moved.is_empty());
    assert_eq!(before, [inode(CLUSTERS_FILE), inode(RING_FILE)]);
    // B turns passing: its cluster is there already, so only the ring moves.
    stage_ring(&folders.staged(), &json!({"members": [A, B]}));
    assert_eq!(folders.publish().moved, [RING_FILE]);
}

#[test]
fn a_cluster_that_left_outlives_the_ring_by_the_grace_time() {
    let folders = Folders::new();
    folders.stage(&[A, B], &[]);
    folders.publish();
    folders.stage(&[A], &[]);
    let mut options = folders.options();
    // However short the grace time: this publication takes B off the ring, so it cannot drop the cluster.
    let report = publish(&options).unwrap();
    assert_eq!(
        (report.kept.as_slice(), report.moved.as_slice()),
        ([cluster(B)].as_slice(), [RING_FILE].as_slice())
    );
    options.grace = Duration::from_secs(3600);
    assert_eq!(publish(&options).unwrap().kept, [cluster(B)]);
    options.grace = Duration::ZERO;
    let report = publish(&options).unwrap();
    assert_eq!((report.dropped.as_slice(), report.kept.len()), ([cluster(B)].as_slice(), 0));
    assert_eq!(folders.live_clusters(), [cluster(A)]);
}

#[test]
fn a_kept_cluster_is_passed_on_as_it_was() {
    let folders = Folders::new();
    folders.stage(&[A, B], &[]);
    folders.publish();
    folders.stage(&[A, C], &[]);
    folders.publish();
    let live: Value =
        serde_saphyr::from_str(&fs::read_to_string(folders.live(CLUSTERS_FILE)).unwrap()).unwrap();
    assert_eq!(live["resources"][2], json!({"name": cluster(B), "connect_timeout": "1s", "odd": "1e3"}));
}

#[test]
fn a_cluster_that_came_back_starts_its_grace_time_anew() {
    let folders = Folders::new();
    let mut options = folders.options();
    for members in [&[A, B][..], &[A], &[A, B], &[A]] {
        folders.stage(members, &[]);
        options.grace = Duration::from_secs(3600);
        publish(&options).unwrap();
    }
    let note = fs::read_to_string(folders.live(".publish/left.json")).unwrap();
    let left: Value = serde_json::from_str(&note).unwrap();
    folders.stage(&[A, B], &[]);
    publish(&options).unwrap();
    assert_eq!(left.as_object().unwrap().len(), 1);
    assert_eq!(fs::read_to_string(folders.live(".publish/left.json")).unwrap(), "{}");
}

#[test]
fn a_time_of_leaving_in_the_future_counts_from_now() {
    let folders = Folders::new();
    folders.stage(&[A], &[]);
    folders.publish();
    folders.stage(&[A], &[]);
    let mut live: Value =
        serde_saphyr::from_str(&fs::read_to_string(folders.live(CLUSTERS_FILE)).unwrap()).unwrap();
    live["resources"].as_array_mut().unwrap().push(json!({"name": cluster(B)}));
    fs::write(folders.live(CLUSTERS_FILE), live.to_string()).unwrap();
    let future = u64::MAX;
    fs::write(folders.live(".publish/left.json"), json!({cluster(B): future}).to_string()).unwrap();
    let mut options = folders.options();
    options.grace = Duration::from_secs(3600);
    assert_eq!(publish(&options).unwrap().kept, [cluster(B)]);
    let note: Value =
        serde_json::from_str(&fs::read_to_string(folders.live(".publish/left.json")).unwrap()).unwrap();
    assert!(note[cluster(B)].as_u64().unwrap() < future);
}

#[test]
fn a_bad_ring_never_goes_live() {
    let folders = Folders::new();
    folders.stage(&[A, B], &[]);
    folders.publish();
    let live = |file| fs::read_to_string(folders.live(file)).unwrap();
    let before = [live(CLUSTERS_FILE), live(RING_FILE)];
    let heavy: Vec<Value> = (0..50)
        .map(|n| json!({"name": n.to_string(), "address": format!("10.0.1.{n}:9091"), "weight": 100}))
        .collect();
    let cases = [
        (json!({"members": []}), "members: found 0 members, allowed at least 1 (min_members)"),
        (json!({"members": [A], "colour": 1}), "found unknown field \"colour\""),
        (json!({"members": [A, A]}), "allowed each only once"),
        // Within every field's limits, but more points than a ring may have.
        (json!({"members": heavy}), "points"),
    ];
    for (config, message) in cases {
        folders.stage(&[A, B, C], &[]);
        stage_ring(&folders.staged(), &config);
        let error = publish(&folders.options()).unwrap_err();
        assert!(error.is::<BadInput>());
        assert!(format!("{error:#}").contains(message), "{error:#}");
        assert_eq!(before, [live(CLUSTERS_FILE), live(RING_FILE)]);
    }
}

#[test]
fn a_ring_without_its_clusters_never_goes_live() {
    let folders = Folders::new();
    folders.stage(&[A], &[]);
    folders.publish();
    stage_ring(&folders.staged(), &json!({"members": [A, B]}));
    let error = publish(&folders.options()).unwrap_err();
    assert!(error.is::<BadInput>());
    assert!(error.to_string().contains("found no cluster \"pushgateway-10.0.0.2:9091\""), "{error}");
    assert_eq!(folders.live_ring().config.members.len(), 1);
}

#[test]
fn too_few_members_at_the_very_first_start_make_an_empty_ring() {
    let folders = Folders::new();
    folders.stage(&[], &[A, B]);
    stage_ring(&folders.staged(), &json!({"members": [A], "min_members": 2, "route_by": "job"}));
    let report = folders.publish();
    assert_eq!((report.members, folders.live_ring().config.members.len()), (0, 0));
    assert!(report.warnings[0].contains("found 1 members, allowed at least 2"), "{:?}", report.warnings);
    // Any other fault stays one.
    let folders = Folders::new();
    folders.stage(&[], &[]);
    stage_ring(&folders.staged(), &json!({"members": [], "colour": 1}));
    assert!(publish(&folders.options()).is_err());
    assert!(!folders.live(RING_FILE).exists());
}

#[test]
fn in_redirect_mode_there_is_only_the_ring() {
    let folders = Folders::new();
    folders.stage(&[A], &[]);
    stage_ring(&folders.staged(), &json!({"members": [A], "mode": "redirect"}));
    assert_eq!(folders.publish().moved, [RING_FILE]);
}

/// Else a push by the old ring would pass over the one that left, to a gateway that the new ring does not mean.
#[test]
fn an_endpoint_outlives_the_ring_as_a_cluster_does() {
    let folders = Folders::new();
    let stage = |members: &[&str]| {
        folders.stage(members, &[]);
        stage_ring(&folders.staged(), &json!({"members": members, "mode": "endpoint"}));
        folders.publish()
    };
    assert_eq!(stage(&[A, B]).moved, [ENDPOINTS_FILE, RING_FILE]);
    // C joins as B leaves: for now all three are known.
    let report = stage(&[A, C]);
    assert_eq!((report.added, report.kept), (vec![C.to_owned()], vec![B.to_owned()]));
    let live: Value =
        serde_saphyr::from_str(&fs::read_to_string(folders.live(ENDPOINTS_FILE)).unwrap()).unwrap();
    assert_eq!(live["resources"][0]["endpoints"][0]["lb_endpoints"].as_array().unwrap().len(), 3);
    assert_eq!(folders.publish().dropped, [B]);
    // A ring without its endpoint.
    stage_ring(&folders.staged(), &json!({"members": [A, B], "mode": "endpoint"}));
    let error = publish(&folders.options()).unwrap_err();
    assert!(error.to_string().contains("found no endpoint \"10.0.0.2:9091\""), "{error}");
}

#[test]
fn a_live_ring_of_an_unknown_kind_is_replaced_and_drops_nothing() {
    let folders = Folders::new();
    folders.stage(&[A, B], &[]);
    folders.publish();
    folders.stage(&[A], &[]);
    folders.publish();
    stage_ring(&folders.live(""), &json!({"members": [A], "field_of_another_version": 1}));
    let report = folders.publish();
    assert_eq!(
        (report.kept.as_slice(), report.moved.as_slice()),
        ([cluster(B)].as_slice(), [RING_FILE].as_slice())
    );
}

#[test]
fn skipped_registrations_become_warnings() {
    let folders = Folders::new();
    folders.stage(&[A], &[]);
    fs::write(folders.staged().join(RENDERED_FILE), "rendered now\nskipped: x on n: port\n").unwrap();
    assert_eq!(folders.publish().warnings, ["skipped: x on n: port"]);
}

#[test]
fn the_shipped_ring_files_can_be_read() {
    for mode in ["cluster", "endpoint", "redirect"] {
        let path = crate::folders::repository().join(format!("envoy/live/{mode}/ring.yaml"));
        assert_eq!(RingFile::read_and_build(&path).unwrap().config.members.len(), 3);
    }
}

/// 1,024 clusters go through the YAML library's limits, and through it once more as kept ones.
#[test]
fn as_many_clusters_as_a_ring_can_have() {
    let folders = Folders::new();
    let names: Vec<String> = (0..1024).map(|n| format!("10.0.{}.{}:9091", n / 256, n % 256)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    folders.stage(&names, &[]);
    assert_eq!(folders.publish().added.len(), 1024);
    folders.stage(&names[..1], &[]);
    assert_eq!(folders.publish().kept.len(), 1023);
    assert_eq!(folders.live_clusters().len(), 1024);
}
