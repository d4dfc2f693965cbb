//! The text output of `pushring plan`: a table of members with bars, and a table of flows.

use std::fmt::Write;

use super::diff::{Basis, MemberDiff, RingDiff};
use crate::output::{self, Table, percent};
use crate::text::line;

/// Characters of the longest bar, so that a row with counts fits 80 columns.
const WIDTH: f64 = 24.0;
/// Maximum number of rows in the table of flows; JSON has all.
const FLOWS: usize = 20;

pub(crate) fn text(plan: &RingDiff) -> String {
    let mut out = String::new();
    let how = match plan.basis {
        Basis::Exact => "exact, from the arcs of both rings",
        Basis::Independent => "the rings hash different keys and are treated as independent",
    };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "ring {} -> {}", plan.from, plan.to);
    let _ = writeln!(out, "{} of all groups are expected to move ({how})", percent(plan.moved));
    if let Some(groups) = plan.groups {
        let part = groups.moved as f64 / (groups.counted.max(1)) as f64;
        let _ = write!(out, "{} of {} counted groups move ({})", groups.moved, groups.counted, percent(part));
        let skipped = groups.skipped;
        let _ = if skipped > 0 {
            writeln!(out, "; {skipped} skipped: not stored by a push")
        } else {
            writeln!(out)
        };
    }
    if let Some(replicas) = plan.replicas {
        let _ = write!(out, "{} of all groups are expected to get another replica", percent(replicas.moved));
        let _ = match (replicas.groups, plan.groups) {
            (Some(moved), Some(groups)) => writeln!(out, "; {moved} of {} counted groups do", groups.counted),
            _ => writeln!(out),
        };
    }
    for change in &plan.members {
        if let (Some(before), Some(after)) = (&change.address_before, &change.address_after)
            && before != after
        {
            let name = line(&change.name);
            let _ =
                writeln!(out, "{name}: the address changes from {before} to {after}; move its data along");
        }
    }
    let _ = writeln!(out, "\n{}\n\n█ stays  ░ leaves  ▒ arrives", members(plan));
    if !plan.flows.is_empty() {
        let _ = write!(out, "\n{}", flows(plan));
    }
    if plan.flows.len() > FLOWS {
        let _ = write!(out, "\n… and {} more; --output json has all", plan.flows.len() - FLOWS);
    }
    out
}

fn members(plan: &RingDiff) -> Table {
    let columns = ["MEMBER", "BEFORE", "AFTER", "", "GROUPS BEFORE", "AFTER"];
    let mut table = output::table(if plan.groups.is_some() { &columns } else { &columns[..4] });
    let longest = plan.members.iter().map(|m| m.before + m.after - m.kept).fold(0.0, f64::max);
    for member in &plan.members {
        let share = |address: &Option<String>, share| match address {
            Some(_) => percent(share),
            None => "-".to_owned(),
        };
        let (before, after) = (&member.address_before, &member.address_after);
        let mut row = vec![member.name.clone(), share(before, member.before), share(after, member.after)];
        row.push(bar(member, longest));
        row.extend([member.groups_before, member.groups_after].into_iter().flatten().map(|n| n.to_string()));
        table.add_row(row);
    }
    table.align_right(&[1, 2, 4, 5]);
    table
}

fn bar(member: &MemberDiff, longest: f64) -> String {
    let cells = |share: f64| (share / longest.max(f64::MIN_POSITIVE) * WIDTH).round() as usize;
    // Edges are rounded instead of lengths, so that equal bars look equal.
    let kept = cells(member.kept);
    let leaves = cells(member.before).saturating_sub(kept);
    let all = cells(member.before + member.after - member.kept);
    let arrives = all.saturating_sub(kept + leaves);
    ["█".repeat(kept), "░".repeat(leaves), "▒".repeat(arrives)].concat()
}

fn flows(plan: &RingDiff) -> Table {
    let columns = ["FROM", "TO", "SHARE", "GROUPS"];
    let mut table = output::table(if plan.groups.is_some() { &columns } else { &columns[..3] });
    for flow in plan.flows.iter().take(FLOWS) {
        let row = [flow.from.clone(), flow.to.clone(), percent(flow.share)];
        table.add_row(row.into_iter().chain(flow.groups.map(|groups| groups.to_string())));
    }
    table.align_right(&[2, 3]);
    table
}
