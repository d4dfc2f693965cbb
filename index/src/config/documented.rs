//! docs/index/configuration.md has each field of each section, and no other.

use std::collections::BTreeSet;

use super::Config;

const DOCUMENT: &str = include_str!("../../../docs/index/configuration.md");
const SECTIONS: [&str; 12] = [
    "app",
    "log",
    "mysql",
    "redis",
    "metric_store.cache",
    "metric_store.producer",
    "metric_store.consummer",
    "remote.write",
    "remote.write.spool",
    "remote.send",
    "catalogue",
    "limits",
];

/// Returns the names that a section accepts, which the error for another name lists.
fn accepted(section: &str) -> BTreeSet<String> {
    let opening: String = section.split('.').map(|name| format!("{{\"{name}\": ")).collect();
    let closing = "}".repeat(section.split('.').count());
    let error = Config::parse(&format!("{opening}{{\"?\": 1}}{closing}")).unwrap_err();
    names(&error)
}

/// Returns the names of an error such as `unknown field `?`, expected one of a, b at line 1`.
fn names(error: &str) -> BTreeSet<String> {
    let (_, names) = error.split_once("expected one of ").unwrap_or_else(|| panic!("{error}"));
    names.split(" at line ").next().unwrap().split(", ").map(str::to_owned).collect()
}

/// Returns the names in the first column of the table of a section.
fn documented(section: &str) -> BTreeSet<String> {
    let heading = format!("\n## {section}\n");
    let (_, text) = DOCUMENT.split_once(&heading).unwrap_or_else(|| panic!("no section {section}"));
    let text = text.split("\n## ").next().unwrap();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    cells
        .flat_map(|cell| cell.split('`').step_by(2))
        .map(str::to_owned)
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn each_field_is_documented() {
    for section in SECTIONS {
        assert_eq!(documented(section), accepted(section), "{section}");
    }
    let headings = DOCUMENT.lines().filter_map(|line| line.strip_prefix("## ")).count();
    assert_eq!(headings, SECTIONS.len() + 1, "sections, and the one about reloads");
    // `metric_store` and `remote` hold the sections above.
    let known: BTreeSet<String> =
        SECTIONS.iter().map(|name| name.split('.').next().unwrap().to_owned()).collect();
    let error = Config::parse("\"?\": 1").unwrap_err();
    assert!(names(&error).is_subset(&known), "{error}");
}
