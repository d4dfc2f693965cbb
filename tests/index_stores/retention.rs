//! Series that were not seen for `catalogue.retention_days` are deleted; no series that lives is.

use pushring_harness::{MariaDb, MetricIndex, poll_until};
use serde_json::json;
use tempfile::tempdir;

use super::send::{mysql, numbered, wait, write};

/// Each counts rows that nothing refers to, or wrong counts.
const LEFT_BEHIND: [&str; 7] = [
    "SELECT count(*) FROM label WHERE series = 0 OR series <> (SELECT count(*) FROM series_label WHERE label_id = id)",
    "SELECT count(*) FROM series_label WHERE series_id NOT IN (SELECT id FROM series)",
    "SELECT count(*) FROM series_source WHERE series_id NOT IN (SELECT id FROM series)",
    "SELECT count(*) FROM series_source WHERE source_id NOT IN (SELECT id FROM source)",
    "SELECT count(*) FROM source WHERE id NOT IN (SELECT source_id FROM series_source)",
    "SELECT count(*) FROM metric WHERE id NOT IN (SELECT id FROM label WHERE name = '__name__')",
    "SELECT count(*) FROM daily WHERE dim <> 'all' AND value_id NOT IN (SELECT id FROM label)",
];
const DAYS: &str = "SELECT sum(new), sum(gone) FROM daily WHERE dim = 'all'";

fn start(mariadb: &MariaDb, dir: &std::path::Path, name: &str) -> MetricIndex {
    // The set forgets a series after a second, so that the catalogue hears of it again and expired ones are soon looked for.
    let cache = json!({"default_expire": 1, "touch_interval": 1, "cleanup_interval": 1});
    let config = json!({
        "mysql": mysql(mariadb), "metric_store": {"cache": cache}, "catalogue": {"retention_days": 1},
    });
    MetricIndex::start(dir, name, &config).unwrap()
}

fn assert_whole(mariadb: &MariaDb) {
    for query in LEFT_BEHIND {
        assert_eq!(mariadb.metrics(query).unwrap(), [["0"]], "{query}");
    }
}

#[test]
fn expired_series_are_deleted_with_all_that_only_they_use() {
    let dir = tempdir().unwrap();
    let mariadb = MariaDb::start(dir.path()).unwrap();
    let index = start(&mariadb, dir.path(), "index");
    write(&index, &numbered("old", 0..450));
    write(&index, &numbered("living", 0..3));
    wait(&index, "old", 450);
    wait(&index, "living", 3);
    let days = mariadb.metrics(DAYS).unwrap();
    mariadb
        .metrics("UPDATE series SET first_seen = first_seen - 172800000, last_seen = last_seen - 172800000 WHERE labels LIKE '%\"old\"%'")
        .unwrap();
    poll_until("the deletion", || {
        write(&index, &numbered("living", 0..3));
        (index.metric("metric_index_expired_series_total").unwrap() == 450.0).then_some(())
    })
    .unwrap();
    wait(&index, "old", 0);
    assert_eq!(wait(&index, "living", 3).len(), 3);
    assert_whole(&mariadb);
    assert_eq!(mariadb.metrics("SELECT count(*) FROM label WHERE value = 'old'").unwrap(), [["0"]]);
    assert_eq!(mariadb.metrics(DAYS).unwrap(), days, "a series is gone once, on its last day");
    // The set of known series has forgotten them long before.
    write(&index, &numbered("old", 0..450));
    wait(&index, "old", 450);
    assert_whole(&mariadb);
}

#[test]
fn two_processes_delete_while_the_series_come_back() {
    let dir = tempdir().unwrap();
    let mariadb = MariaDb::start(dir.path()).unwrap();
    let both = [start(&mariadb, dir.path(), "a"), start(&mariadb, dir.path(), "b")];
    let all = numbered("both", 0..300);
    let expired =
        || both.iter().map(|index| index.metric("metric_index_expired_series_total").unwrap()).sum::<f64>();
    let mut rounds = 0;
    poll_until("deletions", || {
        both.iter().for_each(|index| write(index, &all));
        rounds += 1;
        // A few at a time, so that others of the same labels live.
        let old = "UPDATE series SET last_seen = last_seen - 172800000 WHERE id % 7 = ";
        // A lock may have to wait for one of the two.
        let _ = mariadb.metrics(&format!("{old}{}", rounds % 7));
        (expired() >= 600.0).then_some(())
    })
    .unwrap();
    // From now on, all of them live: each comes back, with all its labels.
    poll_until("all series with all their labels", || {
        both.iter().for_each(|index| write(index, &all));
        let young = "SELECT count(*) FROM series WHERE last_seen > (unix_timestamp() - 3600) * 1000";
        (mariadb.metrics(young).unwrap() == [["300"]]).then_some(())
    })
    .unwrap();
    assert_eq!(wait(&both[0], "{number=~\".+\",job=\"both\"}", 300).len(), 300);
    assert_whole(&mariadb);
}
