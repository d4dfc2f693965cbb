//! Families that conflict with groups of the owner are not carried, and never poison the owner.

use pushring_harness::{Pushgateway, Shift, poll_until};

use crate::fixture::{DrainFixture, exposed, has, push};

const PATH: &str = "/metrics/job/moved";
const OTHER: &str = "/metrics/job/other";

/// Owners with and without a consistency check.
const CHECKS: [&[&str]; 2] = [&[], &["--push.disable-consistency-check"]];

/// Pushes one text to the source and another to another group of its owner. The first must stay, with this code.
#[track_caller]
fn conflict(at: [&str; 2], source: &str, owner: &str, code: &str) {
    for flags in CHECKS {
        let fixture = DrainFixture::start(1, flags);
        push(&fixture.source, "PUT", at[0], source);
        push(&fixture.owners[0], "PUT", at[1], owner);
        let before = loop {
            // A gateway without a consistency check stores pushes after it answered.
            let before = (exposed(&fixture.source), exposed(&fixture.owners[0]));
            if !before.0.is_empty() && !before.1.is_empty() {
                break before;
            }
        };
        assert_eq!(fixture.kept(), code);
        assert_eq!((exposed(&fixture.source), exposed(&fixture.owners[0])), before, "{flags:?}");
        assert_eq!(fixture.owners[0].groups().unwrap().len(), 1, "{flags:?}: no stub");
    }
}

#[test]
fn keeps_a_family_with_another_type() {
    conflict([PATH, OTHER], "# TYPE m counter\nm 1\n", "# TYPE m gauge\nm 2\n", "type_conflict");
}

#[test]
fn keeps_a_family_whose_name_is_part_of_a_histogram() {
    let histogram = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
    let summary = "# TYPE h summary\nh_sum 1\nh_count 1\n";
    conflict([PATH, OTHER], histogram, "# TYPE h_bucket gauge\nh_bucket 1\n", "name_conflict");
    conflict([PATH, OTHER], "# TYPE h_bucket gauge\nh_bucket 1\n", histogram, "name_conflict");
    conflict([PATH, OTHER], "# TYPE h_sum counter\nh_sum 1\n", summary, "name_conflict");
}

#[test]
fn keeps_a_series_that_another_group_has() {
    let labeled = format!("{PATH}/a/1");
    conflict([PATH, &labeled], "m{a=\"1\"} 1\n", "m 2\n", "series_conflict");
    conflict([&labeled, PATH], "m 1\n", "m{a=\"1\"} 2\n", "series_conflict");
}

#[test]
fn keeps_groups_that_differ_in_an_empty_instance() {
    // Both would have the same push_time_seconds, regardless of their families.
    let empty = format!("{PATH}/instance@base64/=");
    conflict([PATH, &empty], "m 1\n", "n 2\n", "series_conflict");
    conflict([&empty, PATH], "m 1\n", "n 2\n", "series_conflict");
}

#[test]
fn carries_families_that_do_not_conflict() {
    for flags in CHECKS {
        let mut fixture = DrainFixture::start(1, flags);
        push(&fixture.source, "PUT", PATH, "# TYPE m counter\nm 1\n# TYPE h_bucket gauge\nh_bucket 1\n");
        // The carried family replaces this one, and a summary has no buckets.
        push(&fixture.owners[0], "PUT", PATH, "# TYPE m gauge\nm 2\n");
        push(&fixture.owners[0], "PUT", OTHER, "# TYPE h summary\nh_sum 1\nh_count 1\n");
        let owner = fixture.owners[0].address;
        fixture.proxy(owner, Shift::age(60), |_| {});
        fixture.drain_all();
        assert!(has(&fixture.owners[0], "m{instance=\"\",job=\"moved\"} 1"));
        assert_eq!(exposed(&fixture.owners[0]).len(), 3);
    }
}

/// Pushes two types of one family to a gateway without a consistency check, so that every scrape fails.
fn poison(gateway: &Pushgateway) {
    push(gateway, "PUT", OTHER, "# TYPE p gauge\np 1\n");
    push(gateway, "PUT", "/metrics/job/poison", "# TYPE p counter\np 1\n");
    let failing = || gateway.metrics().is_err().then_some(());
    poll_until("a failing scrape", failing).unwrap();
}

#[test]
fn carries_nothing_from_or_to_a_poisoned_gateway() {
    let fixture = DrainFixture::start(1, CHECKS[1]);
    push(&fixture.source, "PUT", PATH, "m 1\n");
    poison(&fixture.owners[0]);
    assert_eq!(fixture.kept(), "owner_unreadable");
    assert!(has(&fixture.source, "m{instance=\"\",job=\"moved\"} 1"));
    let fixture = DrainFixture::start(1, CHECKS[1]);
    poison(&fixture.source);
    let output = fixture.drain(&[]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    assert!(output.stderr.contains("delete one of them first"), "{}", output.stderr);
    assert_eq!(fixture.source.groups().unwrap().len(), 2);
}

/// Pushes to the owner between the last read and the copy, so that the owner rejects the copy.
fn refused(there_before: bool) -> DrainFixture {
    let mut fixture = DrainFixture::start(1, &[]);
    push(&fixture.source, "PUT", PATH, "# TYPE m counter\nm 1\n");
    if there_before {
        push(&fixture.owners[0], "PUT", PATH, "n 1\n");
    }
    let owner = fixture.owners[0].address;
    let client = std::sync::Mutex::new(fixture.owners[0].client().unwrap());
    fixture.proxy(owner, Shift::default(), move |request| {
        if request.method == "POST" {
            let answer = client.lock().unwrap().put(OTHER, "# TYPE m gauge\nm 2\n").unwrap();
            assert_eq!(answer.status, 200);
        }
    });
    assert_eq!(fixture.kept(), "owner_rejected");
    assert!(has(&fixture.source, "m{instance=\"\",job=\"moved\"} 1"));
    assert!(has(&fixture.owners[0], "m{instance=\"\",job=\"other\"} 2"));
    fixture
}

#[test]
fn removes_the_stub_of_a_rejected_copy() {
    let fixture = refused(false);
    assert_eq!(fixture.owners[0].groups().unwrap().len(), 1);
}

#[test]
fn keeps_a_group_that_existed_before_a_rejected_copy() {
    let fixture = refused(true);
    assert!(has(&fixture.owners[0], "n{instance=\"\",job=\"moved\"} 1"));
}
