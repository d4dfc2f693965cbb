//! The table of copies in the reports of `delete` and `expire`.

use crate::cleanup::copy::{Age, DeletionResult, GroupCopy};
use crate::output::{self, Table};

/// Formats the table with an empty line below it; empty if there are no copies.
pub(crate) fn copies_text(copies: &[GroupCopy<Age>], dry_run: bool) -> String {
    if copies.is_empty() { String::new() } else { format!("{}\n\n", table(copies, dry_run)) }
}

pub(crate) fn table(copies: &[GroupCopy<Age>], dry_run: bool) -> Table {
    let mut table = output::table(&[
        "GROUP",
        "GATEWAY",
        "LAST PUSH",
        if dry_run { "ACTION" } else { "RESULT" },
        "REASON",
    ]);
    for copy in copies {
        let (result, reason) = match &copy.result {
            DeletionResult::Deleted { .. } => ("deleted", String::new()),
            DeletionResult::Kept { reason } => ("kept", reason.to_reason().text),
            DeletionResult::Failed { reason } => ("failed", reason.to_string()),
        };
        let age = copy.detail.age_seconds.map_or_else(|| "-".to_owned(), output::age);
        table.add_row([output::group(&copy.labels).as_str(), &copy.on, &age, result, &reason]);
    }
    table
}
