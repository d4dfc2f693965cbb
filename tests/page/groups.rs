//! Reading: the list, a group, search, pages, states, the status; also without JavaScript and in a narrow window.

use std::thread;

use serde_json::{Value, json};

use crate::fleet::Fleet;

const METRICS: &str = "# TYPE backup_bytes gauge\n# HELP backup_bytes Size of the last backup.\nbackup_bytes{kind=\"full\"} 12.5\n\
                       # TYPE backup_seconds histogram\nbackup_seconds_bucket{le=\"0.5\"} 1\nbackup_seconds_bucket{le=\"10\"} 3\n\
                       backup_seconds_bucket{le=\"+Inf\"} 4\nbackup_seconds_sum 21\nbackup_seconds_count 4\n\
                       # TYPE backup_size summary\nbackup_size{quantile=\"0.9\"} 7\nbackup_size_sum 8\nbackup_size_count 2\n";

#[test]
fn shows_groups_as_the_page_of_a_pushgateway() {
    let fleet = Fleet::start(false);
    for n in 0..60 {
        fleet.push(&format!("/metrics/job/backup/instance/db{n}"), METRICS);
    }
    fleet.push("/metrics/job/other", "x 1\n");
    for script in [true, false] {
        for (width, dark) in [(1440, false), (360, true)] {
            let mut browser = fleet.browser();
            (browser.script, browser.width, browser.dark) = (script, width, dark);
            reads(&browser.run(steps()), script);
        }
    }
}

fn steps() -> Value {
    let family = "#content .groups > li:first-child .family:has(bdi:text-is('%'))";
    let table = |name: &str| format!("{} .value", family.replace('%', name));
    json!([
        ["open", "/"],
        ["texts", ".found"],
        ["count", ".groups > li"],
        ["click", ".pages a:text-is('Next')"],
        ["texts", ".found"],
        ["count", ".groups > li"],
        ["fill", "#q", "job=backup DB7"],
        ["press", "Enter"],
        ["wait", ".found", "1 group"],
        ["texts", ".groups > li .label"],
        ["click", ".groups > li > details > summary"],
        ["click", format!("{} summary", family.replace('%', "backup_bytes"))],
        ["click", format!("{} summary", family.replace('%', "backup_seconds"))],
        ["click", format!("{} summary", family.replace('%', "backup_size"))],
        ["texts", table("backup_bytes")],
        ["texts", table("backup_seconds")],
        ["texts", table("backup_size")],
        ["texts", ".groups dt"],
        ["visible", ".groups .delete"],
        ["overflow"],
        ["click", ".command summary"],
        ["texts", ".command code"],
        ["attribute", "img.ring", "alt"],
        ["click", "nav a:text-is('Status')"],
        ["texts", ".gateways tbody tr"],
        ["overflow"],
        ["faults"],
    ])
}

fn reads(results: &[Value], script: bool) {
    let text = |index: usize| results[index].to_string();
    assert!(text(1).contains("1–50 of 61 groups"), "{results:?}");
    assert_eq!(results[2], 50);
    assert!(text(4).contains("51–61 of 61 groups"), "{results:?}");
    assert_eq!(results[5], 11);
    assert!(text(9).contains(r#"job=\"backup\""#) && text(9).contains(r#"instance=\"db7\""#), "{results:?}");
    assert_eq!(results[14], json!(["12.5"]));
    for part in ["≤ 0.5", "≤ 10", "≤ +Inf", "Sample count", "Sample sum", "21"] {
        assert!(text(15).contains(part), "{part}: {results:?}");
    }
    assert!(text(16).contains("Quantile 0.9") && text(16).contains('7'), "{results:?}");
    for fact in ["State", "Owner", "Copies", "Last push"] {
        assert!(text(17).contains(fact), "{fact}: {results:?}");
    }
    assert_eq!(results[18], u8::from(script), "a button that does nothing without JavaScript");
    assert_eq!(results[19], 0, "wider than the window");
    assert!(text(21).contains("curl -fgsS -X DELETE 'http://127.0.0.1:"), "{results:?}");
    assert!(text(22).contains("3 gateways"), "{results:?}");
    for gateway in ["gateway-1", "gateway-2", "gateway-3"] {
        assert!(text(24).contains(gateway), "{results:?}");
    }
    assert_eq!(results[25], 0, "wider than the window");
    assert_eq!(results[26], json!([]));
}

#[test]
fn shows_a_gateway_that_is_down() {
    let mut fleet = Fleet::start(true);
    fleet.push("/metrics/job/backup", "x 1\n");
    fleet.gateways[1].process.kill();
    let results = fleet.browser().run(json!([
        ["open", "/"],
        ["texts", ".problems"],
        ["texts", "aside tbody tr"],
        ["texts", ".groups > li .label"],
        ["faults"],
    ]));
    let text = |index: usize| results[index].to_string();
    assert!(text(1).contains("gateway-2 cannot be read"), "{results:?}");
    assert!(text(2).contains("down"), "{results:?}");
    assert!(text(3).contains("backup"), "the other copy is shown: {results:?}");
    assert_eq!(results[4], json!([]));
}

#[test]
fn twenty_thousand_groups_have_pages() {
    const GROUPS: usize = 20_000;
    // With the check, a push takes time for each group that the gateway holds.
    let fleet = Fleet::with_flags(false, &["--push.disable-consistency-check"]);
    thread::scope(|scope| {
        for part in 0..8 {
            let client = fleet.client();
            scope.spawn(move || {
                for n in (part..GROUPS).step_by(8) {
                    let answer = client.put(&format!("/metrics/job/batch/n/{n}"), "x 1\n").unwrap();
                    assert_eq!(answer.status, 202, "{}", answer.text());
                }
            });
        }
    });
    let results = fleet.browser().run(json!([
        ["open", "/?size=100"],
        ["texts", ".found"],
        ["count", ".groups > li"],
        ["click", ".pages a:text-is('Last')"],
        ["texts", ".pages"],
        ["count", ".groups > li"],
        ["fill", "#q", "n=12345"],
        ["press", "Enter"],
        ["wait", ".found", "1 group"],
        ["texts", ".groups > li .label"],
    ]));
    assert!(results[1].to_string().contains("20\u{202f}000 groups"), "{results:?}");
    assert_eq!((&results[2], &results[5]), (&json!(100), &json!(100)));
    assert!(results[4].to_string().contains("Page 200 of 200"), "{results:?}");
    assert!(results[9].to_string().contains("12345"), "{results:?}");
}
