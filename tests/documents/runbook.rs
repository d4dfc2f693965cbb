//! docs/runbook.md has a section for every alert of monitoring/rules.yml, and no other. The suite `monitoring` executes them.

use std::collections::BTreeMap;
use std::fs;

use pushring_harness::tools;
use serde_json::Value;

const PARTS: [&str; 4] = ["**Meaning.**", "**Impact.**", "**Look.**", "**Mend.**"];

/// Returns the text of each section that has the name of an alert.
fn sections() -> BTreeMap<String, String> {
    let text = fs::read_to_string(tools::repository().join("docs/runbook.md")).unwrap();
    let sections = text.split("\n## ").filter(|section| section.starts_with("Pushring"));
    sections.map(|section| section.split_once('\n').unwrap()).map(|(a, b)| (a.into(), b.into())).collect()
}

fn alerts() -> BTreeMap<String, Value> {
    let text = fs::read_to_string(tools::repository().join("monitoring/rules.yml")).unwrap();
    let rules: Value = serde_saphyr::from_str(&text).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules.filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule.clone()))).collect()
}

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() {
    let (sections, alerts) = (sections(), alerts());
    assert!(sections.keys().eq(alerts.keys()), "sections {:?}\nalerts {:?}", sections.keys(), alerts.keys());
    for (name, text) in &sections {
        let mut places = PARTS.iter().map(|part| text.find(part));
        assert!(places.all(|place| place.is_some()) && places.is_sorted(), "{name}: expected {PARTS:?}");
    }
}

#[test]
fn every_alert_names_its_severity_and_its_section() {
    for (name, rule) in alerts() {
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity:?}");
        let text = |field: &str| rule["annotations"][field].as_str().unwrap_or_default();
        assert_eq!(text("runbook_url"), format!("docs/runbook.md#{}", name.to_lowercase()), "{name}");
        assert!(!text("summary").is_empty() && !text("description").is_empty(), "{name}");
    }
}
