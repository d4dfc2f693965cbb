//! No block of any document is skipped silently.

use crate::blocks::{self, Kind};

/// The documents that a test walks through. The other ones have no block to execute.
const WALKED: [&str; 30] = [
    "docs/command/check.md",
    "docs/command/delete.md",
    "docs/command/deregister.md",
    "docs/command/drain.md",
    "docs/command/expire.md",
    "docs/command/groups.md",
    "docs/command/owner.md",
    "docs/command/plan.md",
    "docs/command/publish.md",
    "docs/command/discover.md",
    "docs/command/register.md",
    "docs/command/sweep.md",
    "docs/configuration.md",
    "docs/index/README.md",
    "docs/install/kubernetes.md",
    "docs/install/vm.md",
    "docs/migration.md",
    "docs/observability.md",
    "docs/one-pushgateway.md",
    "docs/operations.md",
    "docs/runbook.md",
    "docs/sources.md",
    "docs/upgrade.md",
    "examples/cluster/README.md",
    "examples/endpoint/README.md",
    "examples/observability/README.md",
    "examples/redirect/README.md",
    "examples/replicas/README.md",
    "docs/security.md",
    "examples/security/README.md",
];

#[test]
fn is_executed_or_has_a_reason() {
    let mut errors = Vec::new();
    let mut counts = [0; 4];
    for document in blocks::documents() {
        let blocks = blocks::read(&document).unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        });
        let walked = WALKED.contains(&document.as_str());
        for block in blocks {
            let kind = match &block.kind {
                Kind::Commands { .. } | Kind::Background | Kind::Console | Kind::Unit => 0,
                Kind::File { .. } | Kind::Edit { .. } => 1,
                Kind::Output => 2,
                Kind::NotExecuted { reason } => {
                    println!("{document}:{}: not executed: {reason}", block.line);
                    3
                }
            };
            counts[kind] += 1;
            if kind != 3 && !walked {
                errors.push(format!("{document}:{}: no test walks through this document", block.line));
            }
        }
    }
    let [executed, written, compared, skipped] = counts;
    println!(
        "{executed} blocks executed, {written} written to files, {compared} compared, {skipped} not executed"
    );
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn marks_are_read() {
    let text = "# A `b`\n\n```sh exit=2\nfalse\n```\n\n```text\nx\n```\n\n<!-- not executed: no X -->\n```sh\nx\n```\n";
    let blocks = blocks::parse(text).unwrap();
    assert_eq!(blocks[0].kind, Kind::Commands { exit: 2 });
    assert_eq!((blocks[0].section.as_str(), blocks[0].line, blocks[0].text.as_str()), ("A b", 3, "false\n"));
    assert_eq!(blocks[1].kind, Kind::Output);
    assert_eq!(blocks[2].kind, Kind::NotExecuted { reason: "no X".to_owned() });
}

#[test]
fn rejects_blocks_without_a_mark() {
    for (text, error) in [
        ("    indented\n", ":1: found an indented code block"),
        ("a\n\n```text\nno commands before\n```\n", ":3: found a code block with \"text\""),
        ("```yaml\na: 1\n```\n", "found a code block with \"yaml\""),
        ("```sh exit=x\n```\n", "found exit=\"x\""),
        ("```sh foreground\n```\n", "found a code block with \"sh foreground\""),
        ("<!-- not executed: -->\n```sh\n```\n", "found `not executed` without a reason"),
        ("<!-- not executed: far away -->\n\nText.\n\n```yaml\n```\n", "found a code block with \"yaml\""),
    ] {
        let found = blocks::parse(text).map(|blocks| format!("{blocks:?}")).unwrap_err();
        assert!(found.contains(error), "{text:?}: {found}");
    }
}
