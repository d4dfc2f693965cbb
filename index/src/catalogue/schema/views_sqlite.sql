-- The views of the catalogue in SQLite; views_mysql.sql has the same ones. Nothing in the program reads them.
-- Older shells of SQLite read them, too: no function that is newer than 3.38.

-- Each series with the facts about its metric. `series_key` has hexadecimal digits, `first_seen` and `last_seen` are milliseconds.
DROP VIEW IF EXISTS v_series;
CREATE VIEW v_series AS
SELECT s.id, s.tenant, lower(hex(s.`key`)) AS series_key, m.name AS metric, m.type, m.unit, m.help, s.labels,
    s.first_seen, s.last_seen,
    datetime(s.first_seen / 1000, 'unixepoch') AS first_seen_utc, datetime(s.last_seen / 1000, 'unixepoch') AS last_seen_utc
FROM series s LEFT JOIN metric m ON m.id = s.metric_id;

DROP VIEW IF EXISTS v_cardinality_by_metric;
CREATE VIEW v_cardinality_by_metric AS
SELECT l.tenant, l.value AS metric, m.type, l.series
FROM label l LEFT JOIN metric m ON m.id = l.id WHERE l.name = '__name__' AND l.series > 0;

-- Each name of a label with the number of its values and of the series that have it.
DROP VIEW IF EXISTS v_cardinality_by_label;
CREATE VIEW v_cardinality_by_label AS
SELECT tenant, name, count(*) AS label_values, sum(series) AS series FROM label WHERE series > 0 GROUP BY tenant, name;

-- Series that were first seen today, in UTC.
DROP VIEW IF EXISTS v_new_today;
CREATE VIEW v_new_today AS
SELECT * FROM v_series WHERE first_seen >= CAST(strftime('%s', 'now', 'start of day') AS INTEGER) * 1000;

-- Series that were not seen for a day.
DROP VIEW IF EXISTS v_gone;
CREATE VIEW v_gone AS
SELECT * FROM v_series WHERE last_seen < (CAST(strftime('%s', 'now') AS INTEGER) - 86400) * 1000;

-- The pushgateways of each pushed series; `job` is the group.
DROP VIEW IF EXISTS v_push_holders;
CREATE VIEW v_push_holders AS
SELECT o.tenant, o.job, o.owner, x.series_id, min(x.first_seen) AS first_seen, max(x.last_seen) AS last_seen
FROM source o JOIN series_source x ON x.source_id = o.id
WHERE o.kind = 'push' AND o.owner <> '' GROUP BY o.tenant, o.job, o.owner, x.series_id;

-- Groups of which several pushgateways have the same series at the same time: each was seen before the other one was seen last.
DROP VIEW IF EXISTS v_split_groups;
CREATE VIEW v_split_groups AS
SELECT a.tenant, a.job AS push_group, count(DISTINCT a.series_id) AS series, count(DISTINCT a.owner) AS owners,
    group_concat(DISTINCT a.owner) AS owner_names, min(a.first_seen) AS first_seen, max(a.last_seen) AS last_seen
FROM v_push_holders a JOIN v_push_holders b ON b.tenant = a.tenant AND b.job = a.job AND b.series_id = a.series_id AND b.owner <> a.owner
    AND a.first_seen <= b.last_seen AND b.first_seen <= a.last_seen
GROUP BY a.tenant, a.job;

-- The five tables of the original, for queries that were written for it. Its `metric` is a series and ours is not, so all five
-- have the prefix `original_`: `FROM metric` becomes `FROM original_metric`. The columns are the original's, and `tenant`. A
-- series without `env` or `service`, which the original loses, has an empty one.
DROP VIEW IF EXISTS original_metric_basic_label;
CREATE VIEW original_metric_basic_label AS
SELECT min(id) AS id, coalesce(json_extract(labels, '$.env'), '') AS env,
    coalesce(json_extract(labels, '$.service'), '') AS service, json_extract(labels, '$.__name__') AS __name__, tenant
FROM series GROUP BY 2, 3, 4, 5;

-- The column `metric` is `name{a="b",…}`, as the original writes it: without escapes.
DROP VIEW IF EXISTS original_metric;
CREATE VIEW original_metric AS
SELECT s.id, b.id AS metric_basic_label_id, b.__name__ || coalesce('{' || (
        SELECT group_concat(key || '="' || value || '"', ',')
        FROM (SELECT key, value FROM json_each(s.labels) WHERE key <> '__name__' ORDER BY key)
    ) || '}', '') AS metric, s.tenant
FROM series s JOIN original_metric_basic_label b ON b.tenant = s.tenant
    AND b.env = coalesce(json_extract(s.labels, '$.env'), '') AND b.service = coalesce(json_extract(s.labels, '$.service'), '')
    AND b.__name__ = json_extract(s.labels, '$.__name__');

DROP VIEW IF EXISTS original_metric_label_name;
CREATE VIEW original_metric_label_name AS
SELECT min(id) AS id, name, tenant FROM label GROUP BY tenant, name;

DROP VIEW IF EXISTS original_metric_label_value;
CREATE VIEW original_metric_label_value AS
SELECT min(id) AS id, value, tenant FROM label GROUP BY tenant, value;

-- As in the original, without the three labels of `metric_basic_label`.
DROP VIEW IF EXISTS original_metric_label;
CREATE VIEW original_metric_label AS
SELECT x.series_id AS metric_id, n.id AS metric_label_name_id, v.id AS metric_label_value_id, l.tenant
FROM series_label x JOIN label l ON l.id = x.label_id
    JOIN original_metric_label_name n ON n.tenant = l.tenant AND n.name = l.name
    JOIN original_metric_label_value v ON v.tenant = l.tenant AND v.value = l.value
WHERE l.name NOT IN ('env', 'service', '__name__');
