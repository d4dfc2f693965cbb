//! A person looks for series: with the mouse and the keyboard, without JavaScript, on a narrow screen.

use serde_json::json;

use crate::catalogue::Catalogue;

fn filled() -> Catalogue {
    let catalogue = Catalogue::start();
    let numbers: Vec<String> = (0..120).map(|n| n.to_string()).collect();
    let many: Vec<_> =
        numbers.iter().map(|n| [("__name__", "requests_total"), ("job", "api"), ("n", n)]).collect();
    let mut series: Vec<&[(&str, &str)]> = many.iter().map(|labels| &labels[..]).collect();
    series.push(&[("__name__", "up"), ("job", "web")]);
    catalogue.write("", &series);
    catalogue
}

#[test]
fn a_search_leads_through_all_parts_of_the_list() {
    let catalogue = filled();
    let mut browser = catalogue.browser();
    browser.script = false;
    let results = browser.run(json!([
        ["open", "/"],
        ["texts", "h1"],
        ["fill", "#match", "{n=~\".+\"}"],
        ["press", "Enter"],
        ["wait", ".found", "120 series"],
        ["count", ".series > li"],
        ["click", "a[rel=next]"],
        ["count", ".series > li"],
        ["click", "a[rel=next]"],
        ["count", ".series > li"],
        ["count", "a[rel=next]"],
        ["click", ".series > li:first-child summary"],
        ["visible", ".series > li:first-child .body"],
        ["click", ".series > li:first-child .body a >> text=api"],
        ["wait", ".found", "120 series"],
        ["attribute", "#match", "value"],
        ["faults"],
    ]));
    assert_eq!(results[1], json!(["121 series"]));
    assert_eq!([&results[5], &results[7], &results[9], &results[10]], [50, 50, 20, 0]);
    assert_eq!((&results[12], &results[15]), (&json!(1), &json!("{job=\"api\"}")));
    assert_eq!(results[16], json!([]));
}

#[test]
fn bars_are_as_long_as_their_counts() {
    let catalogue = filled();
    let results = catalogue.browser().run(json!([
        ["open", "/"],
        ["texts", "section[aria-labelledby=jobs] tbody th"],
        ["attribute", "section[aria-labelledby=jobs] tbody rect.part", "width"],
        ["attribute", "section[aria-labelledby=jobs] tbody tr:last-child rect.part", "width"],
        ["count", ".days g"],
        ["click", "section[aria-labelledby=jobs] tbody a"],
        ["wait", ".found", "120 series"],
    ]));
    assert_eq!(results[1], json!(["api", "web"]));
    assert_eq!((&results[2], &results[3]), (&json!("99.2%"), &json!("0.8%")));
    assert_eq!(results[4], 7, "a week, of which the last day has series");
}

#[test]
fn a_person_selects_a_tenant_and_stays_there() {
    let catalogue = filled();
    catalogue.write("blue", &[&[("__name__", "secret"), ("job", "x")]]);
    let results = catalogue.browser().run(json!([
        ["open", "/"],
        ["select", "#tenant", "blue"],
        ["click", ".tenant button"],
        ["wait", "h1", "1 series"],
        ["click", "nav a >> text=New"],
        ["wait", ".found", "1 series"],
        ["texts", ".metric"],
        ["fill", "#since", "often"],
        ["press", "Enter"],
        ["wait", ".problems", "expected a duration"],
        ["fill", "#since", "7d"],
        ["press", "Enter"],
        ["wait", ".found", "1 series first seen since 7d"],
        ["click", "nav a >> text=Gone"],
        ["wait", ".found", "0 series not seen since 1d"],
    ]));
    assert_eq!(results[6], json!(["secret"]));
}

#[test]
fn a_conflict_is_the_first_thing_that_a_person_sees() {
    let catalogue = filled();
    catalogue.split("/metrics/job/backup/instance/db1");
    for (width, dark) in [(360, false), (1440, true)] {
        let mut browser = catalogue.browser();
        (browser.width, browser.dark) = (width, dark);
        let results = browser.run(json!([
            ["open", "/"],
            ["overflow"],
            ["texts", "main > :first-child"],
            ["click", ".problems a"],
            ["wait", "h1", "Conflicts"],
            ["texts", ".conflict tbody th"],
            ["overflow"],
            ["faults"],
            ["open", "/search?match=rows"],
            ["openAll"],
            ["overflow"],
            ["faults"],
        ]));
        assert!(results[2].to_string().contains("1 group is on several pushgateways"), "{}", results[2]);
        assert_eq!(results[5], json!(["10.0.0.1:9091", "10.0.0.2:9091"]));
        assert_eq!([&results[1], &results[6], &results[10]], [0, 0, 0], "{width}: wider than the window");
        assert_eq!([&results[7], &results[11]], [&json!([]), &json!([])]);
    }
}
