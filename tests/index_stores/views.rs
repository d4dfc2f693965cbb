//! The views for people, and for queries that were written for the original.

use pushring_harness::{MariaDb, MetricIndex, poll_until};
use serde_json::json;
use tempfile::tempdir;

use super::send::{mysql, post, series, wait, write};

#[test]
fn views_show_what_the_catalogue_has() {
    let dir = tempdir().unwrap();
    let mariadb = MariaDb::start(dir.path()).unwrap();
    let mut index = MetricIndex::start(dir.path(), "index", &json!({"mysql": mysql(&mariadb)})).unwrap();
    let up = |instance| {
        series(&[
            ("__name__", "up"),
            ("env", "prod"),
            ("service", "shop"),
            ("job", "api"),
            ("instance", instance),
        ])
    };
    write(&index, &[up("1"), up("2"), series(&[("__name__", "alone")])]);
    let push = |owner: &str| {
        let owner = [("x-pushring-destination", owner)];
        let answer = post(&index, "/metrics/job/backup", &owner, "done 1\n");
        assert_eq!(answer.status, 202, "{}", answer.text());
        let known = format!("SELECT count(*) FROM source WHERE owner = '{}'", owner[0].1);
        // The tables come with the first write.
        let is_known = || mariadb.metrics(&known).is_ok_and(|rows| rows == [["1"]]);
        poll_until("the owner", || is_known().then_some(())).unwrap();
    };
    push("gateway-1");
    push("gateway-2");
    wait(&index, "up", 2);
    // The sightings of both owners overlap only if the first one comes again.
    mariadb.metrics("UPDATE series_source SET last_seen = last_seen + 60000").unwrap();

    let rows = |query: &str| -> Vec<String> {
        mariadb.metrics(query).unwrap().into_iter().map(|row| row.join("|")).collect()
    };
    for (query, expected) in [
        (
            "SELECT metric, series FROM v_cardinality_by_metric ORDER BY metric",
            // A gateway adds the times of the push to its group.
            &["alone|1", "done|1", "push_failure_time_seconds|1", "push_time_seconds|1", "up|2"][..],
        ),
        ("SELECT label_values, series FROM v_cardinality_by_label WHERE name = 'instance'", &["2|2"]),
        (
            "SELECT count(*) FROM v_series WHERE length(series_key) = 32 AND last_seen_utc > utc_timestamp() - INTERVAL 1 DAY",
            &["6"],
        ),
        ("SELECT count(*) FROM v_new_today", &["6"]),
        ("SELECT count(*) FROM v_gone", &["0"]),
        (
            "SELECT push_group, series, owners, owner_names FROM v_split_groups",
            &["job=\"backup\"|3|2|gateway-1,gateway-2"],
        ),
        (
            "SELECT m.metric FROM original_metric m JOIN original_metric_basic_label b ON b.id = m.metric_basic_label_id \
             WHERE b.env = 'prod' AND b.service = 'shop' AND b.__name__ = 'up' ORDER BY 1",
            &[
                "up{env=\"prod\",instance=\"1\",job=\"api\",service=\"shop\"}",
                "up{env=\"prod\",instance=\"2\",job=\"api\",service=\"shop\"}",
            ],
        ),
        (
            "SELECT m.metric FROM original_metric m JOIN original_metric_label x ON x.metric_id = m.id \
             JOIN original_metric_label_name n ON n.id = x.metric_label_name_id \
             JOIN original_metric_label_value v ON v.id = x.metric_label_value_id \
             WHERE n.name = 'instance' AND v.value = '2'",
            &["up{env=\"prod\",instance=\"2\",job=\"api\",service=\"shop\"}"],
        ),
        ("SELECT metric FROM original_metric WHERE metric LIKE 'alone%'", &["alone"]),
    ] {
        assert_eq!(rows(query), expected, "{query}");
    }
    mariadb
        .metrics("UPDATE series SET last_seen = last_seen - 90000000 WHERE labels LIKE '%\"2\"%'")
        .unwrap();
    assert_eq!(rows("SELECT metric FROM v_gone"), ["up"]);

    // A catalogue of a version without views, or with other ones, gets them when it is opened.
    index.process().kill();
    mariadb.metrics("DELETE FROM meta WHERE name = 'views'; DROP VIEW v_series; CREATE OR REPLACE VIEW v_gone AS SELECT 1").unwrap();
    index.restart().unwrap();
    wait(&index, "up", 2);
    assert_eq!(rows("SELECT metric FROM v_gone"), ["up"]);
    assert_eq!(rows("SELECT count(*) FROM v_series"), ["6"]);
}
