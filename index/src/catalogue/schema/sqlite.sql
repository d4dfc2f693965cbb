-- The catalogue in SQLite; mysql.sql has the same tables.
-- Times are milliseconds since 1970 UTC, days are days since 1970 UTC.

-- Each label of a tenant once. The hash is the XXH3-128 of name and value; `series` counts the series that have the label.
CREATE TABLE IF NOT EXISTS label (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    hash BLOB NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    series INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, hash)
);
CREATE INDEX IF NOT EXISTS label_name ON label (tenant, name, value);

-- Facts about a metric. The id is the id of its label __name__.
CREATE TABLE IF NOT EXISTS metric (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    unit TEXT NOT NULL,
    help TEXT NOT NULL
);

-- Each series once. `n` is above 0 only if other labels have the same key.
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    `key` BLOB NOT NULL,
    n INTEGER NOT NULL,
    metric_id INTEGER NOT NULL,
    labels TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    UNIQUE (tenant, `key`, n)
);
CREATE INDEX IF NOT EXISTS series_tenant ON series (tenant);
CREATE INDEX IF NOT EXISTS series_first_seen ON series (tenant, first_seen);
CREATE INDEX IF NOT EXISTS series_last_seen ON series (tenant, last_seen);

-- The index of the matchers.
CREATE TABLE IF NOT EXISTS series_label (
    label_id INTEGER NOT NULL,
    series_id INTEGER NOT NULL,
    PRIMARY KEY (label_id, series_id)
) WITHOUT ROWID;

-- The origin of series. `job` is the group of a push, else the label job.
CREATE TABLE IF NOT EXISTS source (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    hash BLOB NOT NULL,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    job TEXT NOT NULL,
    sender TEXT NOT NULL,
    UNIQUE (tenant, hash)
);

CREATE TABLE IF NOT EXISTS series_source (
    source_id INTEGER NOT NULL,
    series_id INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (source_id, series_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS series_source_series ON series_source (series_id);

-- Series whose first day (`new`) and whose last day so far (`gone`) it is: of the tenant (`all`, value_id 0), of a metric, of
-- a job (value_id is the id of the label).
CREATE TABLE IF NOT EXISTS daily (
    tenant TEXT NOT NULL,
    dim TEXT NOT NULL,
    value_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    new INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    PRIMARY KEY (tenant, dim, value_id, day)
) WITHOUT ROWID;

-- Records of the queue that could not be read.
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT NOT NULL,
    record BLOB NOT NULL
);

CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT OR IGNORE INTO meta (name, value) VALUES ('version', '1');
