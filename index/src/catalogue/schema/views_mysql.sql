-- The views of the catalogue in MySQL and MariaDB; views_sqlite.sql has the same ones, which describes them. Nothing in the
-- program reads them.

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_series AS
SELECT s.id, s.tenant, LOWER(HEX(s.`key`)) AS series_key, m.name AS metric, m.type, m.unit, m.help, s.labels,
    s.first_seen, s.last_seen,
    TIMESTAMPADD(SECOND, s.first_seen DIV 1000, '1970-01-01 00:00:00') AS first_seen_utc,
    TIMESTAMPADD(SECOND, s.last_seen DIV 1000, '1970-01-01 00:00:00') AS last_seen_utc
FROM series s LEFT JOIN metric m ON m.id = s.metric_id;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_cardinality_by_metric AS
SELECT l.tenant, l.value AS metric, m.type, l.series
FROM label l LEFT JOIN metric m ON m.id = l.id WHERE l.name = '__name__' AND l.series > 0;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_cardinality_by_label AS
SELECT tenant, name, COUNT(*) AS label_values, CAST(SUM(series) AS SIGNED) AS series
FROM label WHERE series > 0 GROUP BY tenant, name;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_new_today AS
SELECT * FROM v_series WHERE first_seen >= FLOOR(UNIX_TIMESTAMP() / 86400) * 86400000;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_gone AS
SELECT * FROM v_series WHERE last_seen < (UNIX_TIMESTAMP() - 86400) * 1000;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_push_holders AS
SELECT o.tenant, o.job, o.owner, x.series_id, MIN(x.first_seen) AS first_seen, MAX(x.last_seen) AS last_seen
FROM source o JOIN series_source x ON x.source_id = o.id
WHERE o.kind = 'push' AND o.owner <> '' GROUP BY o.tenant, o.job, o.owner, x.series_id;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_split_groups AS
SELECT a.tenant, a.job AS push_group, COUNT(DISTINCT a.series_id) AS series, COUNT(DISTINCT a.owner) AS owners,
    GROUP_CONCAT(DISTINCT a.owner ORDER BY a.owner SEPARATOR ',') AS owner_names,
    MIN(a.first_seen) AS first_seen, MAX(a.last_seen) AS last_seen
FROM v_push_holders a JOIN v_push_holders b ON b.tenant = a.tenant AND b.job = a.job AND b.series_id = a.series_id
    AND b.owner <> a.owner AND a.first_seen <= b.last_seen AND b.first_seen <= a.last_seen
GROUP BY a.tenant, a.job;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW original_metric_basic_label AS
SELECT MIN(id) AS id, COALESCE(JSON_UNQUOTE(JSON_EXTRACT(labels, '$.env')), '') AS env,
    COALESCE(JSON_UNQUOTE(JSON_EXTRACT(labels, '$.service')), '') AS service,
    JSON_UNQUOTE(JSON_EXTRACT(labels, '$.__name__')) AS __name__, tenant
FROM series GROUP BY 2, 3, 4, 5;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW original_metric AS
SELECT s.id, b.id AS metric_basic_label_id, CONCAT(b.__name__, COALESCE(CONCAT('{', t.pairs, '}'), '')) AS metric, s.tenant
FROM series s LEFT JOIN (
        SELECT x.series_id, GROUP_CONCAT(CONCAT(l.name, '="', l.value, '"') ORDER BY l.name SEPARATOR ',') AS pairs
        FROM series_label x JOIN label l ON l.id = x.label_id WHERE l.name <> '__name__' GROUP BY x.series_id
    ) t ON t.series_id = s.id
    JOIN original_metric_basic_label b ON b.tenant = s.tenant
    AND b.env = COALESCE(JSON_UNQUOTE(JSON_EXTRACT(s.labels, '$.env')), '')
    AND b.service = COALESCE(JSON_UNQUOTE(JSON_EXTRACT(s.labels, '$.service')), '')
    AND b.__name__ = JSON_UNQUOTE(JSON_EXTRACT(s.labels, '$.__name__'));

CREATE OR REPLACE SQL SECURITY INVOKER VIEW original_metric_label_name AS
SELECT MIN(id) AS id, name, tenant FROM label GROUP BY tenant, name;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW original_metric_label_value AS
SELECT MIN(id) AS id, value, tenant FROM label GROUP BY tenant, value;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW original_metric_label AS
SELECT x.series_id AS metric_id, n.id AS metric_label_name_id, v.id AS metric_label_value_id, l.tenant
FROM series_label x JOIN label l ON l.id = x.label_id
    JOIN original_metric_label_name n ON n.tenant = l.tenant AND n.name = l.name
    JOIN original_metric_label_value v ON v.tenant = l.tenant AND v.value = l.value
WHERE l.name NOT IN ('env', 'service', '__name__');
