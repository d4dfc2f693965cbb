//! Labels of others never execute and never break the layout.

use pushring_harness::http::encode;
use serde_json::json;

use crate::catalogue::Catalogue;

#[test]
fn text_of_others_is_only_text() {
    let catalogue = Catalogue::start();
    let long = "abcdefghij".repeat(300);
    let texts = [
        "</h2></summary><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)' style='position:fixed;inset:0",
        "javascript:alert(1)",
        "\u{202e}gnp.exe\u{2066}",
        "line\nbreak\r\n\u{1b}[31m",
        "{{7*7}} ${7*7} <!-- ]]> &lt;&#60;",
        "\u{200b}\u{feff}\u{e0041}",
        "שלום עולם",
        &long,
    ];
    for text in texts {
        // A name may be any text as well, but not as long.
        let name = &text[..text.len().min(900)];
        catalogue.write("", &[&[("__name__", name), ("job", text), (name, text)]]);
    }
    for tenant in [texts[0], texts[1], texts[3]] {
        catalogue.write(tenant, &[&[("__name__", "up")]]);
    }
    for (width, script) in [(360, false), (1440, true)] {
        let mut browser = catalogue.browser();
        (browser.width, browser.script) = (width, script);
        let mut steps = vec![];
        for path in ["/", "/search", "/new", "/gone", "/conflicts"] {
            steps.extend([json!(["open", path]), json!(["openAll"]), json!(["overflow"])]);
            steps.extend([
                json!(["count", "script"]),
                json!(["count", "img:not([src^='static/'])"]),
                json!(["faults"]),
            ]);
        }
        steps.extend([json!(["open", "/search"]), json!(["texts", ".series summary h2"])]);
        let results = browser.run(json!(steps));
        for page in results[..30].chunks(6) {
            assert_eq!(page[2..], [json!(0), json!(0), json!(0), json!([])], "{width}: {page:?}");
        }
        let shown: Vec<_> =
            results[31].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(shown.len(), texts.len());
        for part in [texts[0], texts[1], r"\u{202e}gnp.exe\u{2066}", r"line\nbreak\r\n\u{1b}[31m"] {
            assert!(shown.iter().any(|text| text.contains(part)), "{part}: {shown:?}");
        }
        assert!(shown.iter().all(|text| text.len() < 3_000), "a long label is shortened");
    }
    // Each bar and each label leads to its series.
    for text in &texts[..8] {
        let results = catalogue.browser().run(json!([
            ["open", format!("/search?match={}", encode(&format!("{{job={}}}", quoted(text))))],
            ["wait", ".found", "1 series"],
            ["click", "section[aria-labelledby=by-metric] tbody a"],
            ["wait", ".found", "1 series"],
        ]));
        assert_eq!(results[0], 200);
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
