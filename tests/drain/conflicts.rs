//! What does not go together with what its owner holds is not carried, and never poisons it.

use pushring_harness::{Pushgateway, Shift, poll_until};

use crate::fixture::{DrainFixture, exposed, has, push};

const PATH: &str = "/metrics/job/moved";
const OTHER: &str = "/metrics/job/other";

/// Owners with and without a check of their own.
const CHECKS: [&[&str]; 2] = [&[], &["--push.disable-consistency-check"]];

/// One text at the source, another in another group of its owner: the first must stay, for that reason.
#[track_caller]
fn conflict(at: [&str; 2], source: &str, owner: &str, why: &str) {
    for flags in CHECKS {
        let world = DrainFixture::start(1, flags);
        push(&world.source, "PUT", at[0], source);
        push(&world.owners[0], "PUT", at[1], owner);
        let before = loop {
            // A gateway that does not check takes pushes later.
            let before = (exposed(&world.source), exposed(&world.owners[0]));
            if !before.0.is_empty() && !before.1.is_empty() {
                break before;
            }
        };
        let reason = world.kept();
        assert!(reason.contains(why) && reason.contains("then run again"), "{reason}");
        assert_eq!((exposed(&world.source), exposed(&world.owners[0])), before, "{flags:?}");
        assert_eq!(world.owners[0].groups().unwrap().len(), 1, "{flags:?}: no stub");
    }
}

#[test]
fn another_type() {
    conflict(
        [PATH, OTHER],
        "# TYPE m counter\nm 1\n",
        "# TYPE m gauge\nm 2\n",
        r#"m is COUNTER here and GAUGE in the owner's group {job="other"}"#,
    );
}

#[test]
fn a_name_that_is_a_part_of_a_histogram() {
    let histogram = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
    let summary = "# TYPE h summary\nh_sum 1\nh_count 1\n";
    conflict([PATH, OTHER], histogram, "# TYPE h_bucket gauge\nh_bucket 1\n", "h (HISTOGRAM) collides");
    conflict([PATH, OTHER], "# TYPE h_bucket gauge\nh_bucket 1\n", histogram, "collides with the owner's h");
    conflict([PATH, OTHER], "# TYPE h_sum counter\nh_sum 1\n", summary, "collides with the owner's h");
}

#[test]
fn the_same_series_in_two_groups() {
    let labelled = format!("{PATH}/a/1");
    conflict([PATH, &labelled], "m{a=\"1\"} 1\n", "m 2\n", "a series of m in another group");
    conflict([&labelled, PATH], "m 1\n", "m{a=\"1\"} 2\n", "a series of m in another group");
}

#[test]
fn groups_that_differ_in_an_empty_instance() {
    // Whatever their families: both would have the same push_time_seconds.
    let empty = format!("{PATH}/instance@base64/=");
    conflict([PATH, &empty], "m 1\n", "n 2\n", "has the same series");
    conflict([&empty, PATH], "m 1\n", "n 2\n", "has the same series");
}

#[test]
fn what_looks_like_a_conflict_but_is_none() {
    for flags in CHECKS {
        let mut world = DrainFixture::start(1, flags);
        push(&world.source, "PUT", PATH, "# TYPE m counter\nm 1\n# TYPE h_bucket gauge\nh_bucket 1\n");
        // Replaced by what is carried; and a summary has no buckets.
        push(&world.owners[0], "PUT", PATH, "# TYPE m gauge\nm 2\n");
        push(&world.owners[0], "PUT", OTHER, "# TYPE h summary\nh_sum 1\nh_count 1\n");
        let owner = world.owners[0].address;
        world.proxy(owner, Shift::age(60), |_| {});
        world.drain_all();
        assert!(has(&world.owners[0], "m{instance=\"\",job=\"moved\"} 1"));
        assert_eq!(exposed(&world.owners[0]).len(), 3);
    }
}

/// Two types of one family on a gateway that does not check: it fails every scrape.
fn poison(gateway: &Pushgateway) {
    push(gateway, "PUT", OTHER, "# TYPE p gauge\np 1\n");
    push(gateway, "PUT", "/metrics/job/poison", "# TYPE p counter\np 1\n");
    let failing = || gateway.metrics().is_err().then_some(());
    poll_until("a failing scrape", failing).unwrap();
}

#[test]
fn a_poisoned_gateway_gives_and_gets_nothing() {
    let world = DrainFixture::start(1, CHECKS[1]);
    push(&world.source, "PUT", PATH, "m 1\n");
    poison(&world.owners[0]);
    let reason = world.kept();
    assert!(reason.contains("the owner: its exposition") && reason.contains("HTTP 500"), "{reason}");
    assert!(has(&world.source, "m{instance=\"\",job=\"moved\"} 1"));
    let world = DrainFixture::start(1, CHECKS[1]);
    poison(&world.source);
    let output = world.drain(&[]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    assert!(output.stderr.contains("delete one of them first"), "{}", output.stderr);
    assert_eq!(world.source.groups().unwrap().len(), 2);
}

/// A push at the owner between the last look at it and the copy, so that it refuses the copy.
fn refused(there_before: bool) -> DrainFixture {
    let mut world = DrainFixture::start(1, &[]);
    push(&world.source, "PUT", PATH, "# TYPE m counter\nm 1\n");
    if there_before {
        push(&world.owners[0], "PUT", PATH, "n 1\n");
    }
    let owner = world.owners[0].address;
    let client = std::sync::Mutex::new(world.owners[0].client().unwrap());
    world.proxy(owner, Shift::default(), move |request| {
        if request.method == "POST" {
            let answer = client.lock().unwrap().put(OTHER, "# TYPE m gauge\nm 2\n").unwrap();
            assert_eq!(answer.status, 200);
        }
    });
    let reason = world.kept();
    assert!(reason.contains("its owner rejected it: pushed metrics are invalid or inconsistent"), "{reason}");
    assert!(has(&world.source, "m{instance=\"\",job=\"moved\"} 1"));
    assert!(has(&world.owners[0], "m{instance=\"\",job=\"other\"} 2"));
    world
}

#[test]
fn the_stub_of_a_copy_that_is_refused_is_removed() {
    let world = refused(false);
    assert_eq!(world.owners[0].groups().unwrap().len(), 1);
}

#[test]
fn a_group_that_was_there_before_a_refused_copy_stays() {
    let world = refused(true);
    assert!(has(&world.owners[0], "n{instance=\"\",job=\"moved\"} 1"));
}
