//! The Delete button.

use pushring_harness::poll_until;
use serde_json::json;

use crate::browser::Browser;
use crate::fleet::Fleet;

#[test]
fn deletes_a_group_after_a_confirmation() {
    let fleet = Fleet::start(true);
    for job in ["keep", "remove", "x"] {
        fleet.push(&format!("/metrics/job/{job}/path@base64/YSBiL2M"), "x 1\n");
    }
    poll_until("both copies", || (fleet.holders("remove") == 2).then_some(())).unwrap();
    let item = ".groups > li:has(.label:has-text('remove'))";
    let results = fleet.browser().run(json!([
        ["open", "/"],
        ["click", ".groups > li:has(.label:has-text('keep')) > details > summary"],
        ["click", format!("{item} .delete")],
        ["texts", "#confirm .group"],
        ["click", "#confirm button:text-is('Cancel')"],
        ["visible", "#confirm"],
        ["count", item],
        // The keyboard alone is enough.
        ["click", format!("{item} .delete")],
        ["press", "Escape"],
        ["visible", "#confirm"],
        ["count", item],
        ["click", format!("{item} .delete")],
        ["click", "#confirm button:text-is('Delete')"],
        ["wait", "#message", "Deleted"],
        ["count", item],
        ["count", ".groups > li"],
        ["count", ".groups > li > details[open]"],
        ["visible", ".groups .delete"],
        ["texts", ".found"],
    ]));
    assert!(results[3].to_string().contains("a b/c"), "{results:?}");
    assert_eq!([&results[5], &results[6], &results[9], &results[10]], [0, 1, 0, 1], "canceled: {results:?}");
    assert_eq!(
        [&results[14], &results[15], &results[16], &results[17]],
        [0, 2, 1, 2],
        "deleted: {results:?}"
    );
    assert!(results[18].to_string().contains("2 groups"), "{results:?}");
    poll_until("no copy", || (fleet.holders("remove") == 0).then_some(())).unwrap();
    assert_eq!((fleet.holders("keep"), fleet.holders("x")), (2, 2));
}

/// Only Envoy knows the way to the owner.
#[test]
fn without_envoy_it_says_so() {
    let fleet = Fleet::start(false);
    fleet.push("/metrics/job/keep", "x 1\n");
    let (results, errors) = Browser::new(fleet.serve).run_with_errors(json!([
        ["open", "/"],
        ["click", ".groups .delete"],
        ["click", "#confirm button:text-is('Delete')"],
        ["wait", "#message", "was not deleted"],
        ["texts", "#message"],
        ["count", ".groups > li"],
    ]));
    assert!(results[4].to_string().contains("Envoy"), "{results:?}");
    assert_eq!(results[5], 1);
    assert!(errors.iter().all(|error| error.contains("405")), "{errors:?}");
    assert_eq!(fleet.holders("keep"), 1);
}
