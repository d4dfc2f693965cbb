//! Labels, names and help texts of others never execute and never break the layout.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use crate::fleet::Fleet;

#[test]
fn text_of_others_is_only_text() {
    let fleet = Fleet::start(false);
    let long = "abcdefghij".repeat(1_000);
    let texts = [
        "</h3></summary><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)' style='position:fixed;inset:0",
        "javascript:alert(1)",
        "\u{202e}gnp.exe\u{2066}",
        "line\nbreak\r\n\u{1b}[31m",
        "{{7*7}} ${7*7} <!-- ]]> &lt;&#60;",
        "\u{200b}\u{feff}\u{e0041}",
        "zal\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}go",
        "שלום עולם",
        &long,
    ];
    for (n, text) in texts.iter().enumerate() {
        let value = BASE64_URL_SAFE_NO_PAD.encode(text);
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let help = text.replace('\\', "\\\\").replace('\n', "\\n");
        let body = format!(
            "# HELP hostile_{n} {help}\n# TYPE hostile_{n} gauge\nhostile_{n}{{text=\"{quoted}\"}} 1\n"
        );
        fleet.push(&format!("/metrics/job@base64/{value}/text@base64/{value}"), &body);
    }
    for width in [360, 1440] {
        let mut browser = fleet.browser();
        browser.width = width;
        let results = browser.run(json!([
            ["open", "/"],
            ["openAll"],
            ["overflow"],
            ["texts", ".groups > li > details > summary h2"],
            ["count", "script"],
            ["count", "img:not([src^='static/'])"],
            ["faults"],
            // The dialog, too.
            ["click", ".groups > li:first-child .delete"],
            ["overflow"],
            ["press", "Escape"],
            ["fill", "#q", texts[1]],
            ["press", "Enter"],
            ["wait", ".found", "group"],
            ["overflow"],
        ]));
        assert_eq!([&results[2], &results[8], &results[13]], [0, 0, 0], "wider than the window");
        assert_eq!((&results[4], &results[5]), (&json!(1), &json!(0)));
        assert_eq!(results[6], json!([]));
        let shown: Vec<_> =
            results[3].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(shown.len(), texts.len());
        for part in [
            texts[0],
            texts[1],
            r"\u{202e}gnp.exe\u{2066}",
            r"line\nbreak\r\n\u{1b}[31m",
            r"\u{200b}\u{feff}\u{e0041}",
        ] {
            assert!(shown.iter().any(|text| text.contains(part)), "{part}: {shown:?}");
        }
        assert!(shown.iter().all(|text| text.len() < 3_000), "a long label is shortened");
    }
}
