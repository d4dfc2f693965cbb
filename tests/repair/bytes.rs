//! An owner or a replica that lost groups gets them back byte for byte.

use pushring_harness::every_type::every_type;

use crate::fixture::RepairFixture;

const PATHS: [&str; 6] = [
    "/metrics/job/a/instance/1",
    "/metrics/job/a/instance/2",
    "/metrics/job/b",
    "/metrics/job@base64/YS9i/empty@base64/=",
    "/metrics/job/c/x/1",
    "/metrics/job/utf8/name/h%C3%A4%20%E2%82%AC",
];

#[test]
fn a_gateway_that_lost_everything_gets_it_back() {
    let mut fixture = RepairFixture::start(3);
    for path in PATHS {
        fixture.mirrored_protobuf(path, &every_type());
        // A group in parts, and one without families.
        fixture.mirrored("POST", path, "# HELP part One of two.\npart 1\n");
    }
    fixture.mirrored("PUT", "/metrics/job/empty", "");
    let before = fixture.exposed_all();
    let groups: Vec<_> = (0..3).map(|index| fixture.gateway(index).groups().unwrap().len()).collect();
    assert!(before.iter().all(|exposed| !exposed.is_empty()), "every gateway holds groups");
    for (lost, groups) in groups.into_iter().enumerate() {
        fixture.lose(lost);
        let repaired = fixture.repair();
        assert_eq!(repaired.len(), groups, "{repaired:?}");
        assert!(repaired.iter().all(|line| line["result"] == "copied" && line["to"] == format!("g{lost}")));
        assert_eq!(fixture.exposed_all(), before);
        assert_eq!(fixture.gateway(lost).groups().unwrap().len(), groups);
        assert_eq!(fixture.repair(), Vec::<serde_json::Value>::new());
    }
}
