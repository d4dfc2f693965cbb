//! Shows which Pushgateway stores which group, from the Pushgateways' API.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};
use pushring_harness::http::Client;
use serde_json::Value;

use crate::groups::{GROUPS, Group, METRIC};

type Labels = BTreeMap<String, String>;

/// One group on one Pushgateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    gateway: SocketAddr,
    labels: Labels,
    /// Number of the demo's pushes that it contains.
    pushes: usize,
}

/// Reads the groups of each Pushgateway.
///
/// # Errors
/// If one does not answer as a Pushgateway does.
pub(crate) fn ask(gateways: &[SocketAddr]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for &gateway in gateways {
        let answer = Client::new(gateway)?.get("/api/v1/metrics")?;
        ensure!(answer.status == 200, "{gateway}/api/v1/metrics: {} {}", answer.status, answer.text());
        found.extend(groups(gateway, &answer.json()?).with_context(|| format!("{gateway}/api/v1/metrics"))?);
    }
    Ok(found)
}

fn groups(gateway: SocketAddr, answer: &Value) -> Result<Vec<Found>> {
    let group = |group: &Value| {
        let labels: Labels = serde_json::from_value(group["labels"].clone())?;
        let fields = group.as_object().context("a group is an object")?;
        let pushes = fields.keys().filter(|name| name.starts_with(METRIC)).count();
        Ok(Found { gateway, labels, pushes })
    };
    answer["data"].as_array().context("no list in `data`")?.iter().map(group).collect()
}

/// Formats a row for each group on each Pushgateway.
pub(crate) fn table(found: &[Found]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["  GROUP", "PATHS", "PUSHES", "PUSHGATEWAY"]);
    for group in GROUPS {
        let on = places(found, *group);
        let pushes: Vec<String> = on.iter().map(|found| found.pushes.to_string()).collect();
        let gateways: Vec<String> = on.iter().map(|found| found.gateway.to_string()).collect();
        let spellings = group.spellings.len().to_string();
        table.add_row([format!("  {}", group.text()), spellings, pushes.join("\n"), gateways.join("\n")]);
    }
    for column in [1, 2] {
        table.column_mut(column).into_iter().for_each(|c| c.set_cell_alignment(CellAlignment::Right));
    }
    table
}

/// Checks that each group is stored with all its pushes on exactly `copies` Pushgateways, 1 or 2, and returns that as a
/// sentence.
///
/// # Errors
/// Lists the other groups.
pub(crate) fn verdict(found: &[Found], copies: u16) -> Result<String> {
    let mut wrong = Vec::new();
    for group in GROUPS {
        let places = places(found, *group);
        if places.len() != usize::from(copies) {
            wrong.push(format!("{}: on {} pushgateways", group.text(), places.len()));
            continue;
        }
        for place in places.into_iter().filter(|place| place.pushes != group.pushes()) {
            let (text, all) = (group.text(), group.pushes());
            wrong.push(format!("{text}: {} of {all} pushes on {}", place.pushes, place.gateway));
        }
    }
    if wrong.is_empty() {
        let on = if copies == 1 { "one pushgateway" } else { "two pushgateways" };
        return Ok(format!("{}: each group is on exactly {on}.", counts()));
    }
    bail!("groups are not where they should be:\n  {}", wrong.join("\n  "))
}

/// Returns the number of groups and pushes of the demo.
pub(crate) fn counts() -> String {
    let pushes: usize = GROUPS.iter().map(|group| group.pushes()).sum();
    format!("{} groups, {pushes} pushes", GROUPS.len())
}

fn places(found: &[Found], group: Group) -> Vec<&Found> {
    let is_it = |labels: &Labels| {
        labels.len() == group.labels.len()
            && group.labels.iter().all(|(name, value)| labels.get(*name).is_some_and(|own| own == value))
    };
    found.iter().filter(|found| is_it(&found.labels)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all_on(gateway: SocketAddr) -> Vec<Found> {
        let labels =
            |group: &Group| group.labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        GROUPS.iter().map(|g| Found { gateway, labels: labels(g), pushes: g.pushes() }).collect()
    }

    #[test]
    fn counts_pushes_in_a_gateways_answer() {
        let gateway = ([127, 0, 0, 1], 1).into();
        let group =
            json!({"labels": {"job": "a"}, "pushed_0": {}, "pushed_7": {}, "push_time_seconds": {}, "x": {}});
        let found = groups(gateway, &json!({"data": [group]})).unwrap();
        assert_eq!((found.len(), found[0].pushes), (1, 2));
        assert!(groups(gateway, &json!({"status": "error"})).is_err());
    }

    #[test]
    fn reports_split_lost_and_missing_groups() {
        let (one, two) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let mut found = all_on(one);
        assert!(verdict(&found, 1).unwrap().contains("exactly one pushgateway"));
        found.push(Found { gateway: two, ..found[0].clone() });
        found[1].pushes -= 1;
        found.remove(2);
        let wrong = verdict(&found, 1).unwrap_err().to_string();
        assert!(wrong.contains("job=backup instance=db1: on 2 pushgateways"), "{wrong}");
        assert!(wrong.contains("job=backup instance=db2: 9 of 10 pushes on 127.0.0.1:1"), "{wrong}");
        assert!(wrong.contains("job=backup instance=db3: on 0 pushgateways"), "{wrong}");
        assert!(table(&found).lines().any(|line| line.trim() == "20  127.0.0.1:2"), "{}", table(&found));
    }
}
