-- The catalogue in MySQL and MariaDB; sqlite.sql has the same tables.
-- Times are milliseconds since 1970 UTC, days are days since 1970 UTC.

-- Each label of a tenant once. The hash is the XXH3-128 of name and value; `series` counts the series that have the label.
CREATE TABLE IF NOT EXISTS label (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    tenant VARBINARY(150) NOT NULL,
    hash BINARY(16) NOT NULL,
    name VARCHAR(1024) NOT NULL,
    value TEXT NOT NULL,
    series BIGINT NOT NULL DEFAULT 0,
    UNIQUE (tenant, hash),
    INDEX label_name (tenant, name(191), value(191))
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;

-- Facts about a metric. The id is the id of its label __name__.
CREATE TABLE IF NOT EXISTS metric (
    id BIGINT PRIMARY KEY,
    tenant VARBINARY(150) NOT NULL,
    name VARCHAR(1024) NOT NULL,
    type TEXT NOT NULL,
    unit TEXT NOT NULL,
    help TEXT NOT NULL
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;

-- Each series once. `n` is above 0 only if other labels have the same key.
CREATE TABLE IF NOT EXISTS series (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    tenant VARBINARY(150) NOT NULL,
    `key` BINARY(16) NOT NULL,
    n BIGINT NOT NULL,
    metric_id BIGINT NOT NULL,
    labels MEDIUMTEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    UNIQUE (tenant, `key`, n),
    INDEX series_tenant (tenant),
    INDEX series_first_seen (tenant, first_seen),
    INDEX series_last_seen (tenant, last_seen)
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;

-- The index of the matchers.
CREATE TABLE IF NOT EXISTS series_label (
    label_id BIGINT NOT NULL,
    series_id BIGINT NOT NULL,
    PRIMARY KEY (label_id, series_id)
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;

-- The origin of series. `job` is the group of a push, else the label job.
CREATE TABLE IF NOT EXISTS source (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    tenant VARBINARY(150) NOT NULL,
    hash BINARY(16) NOT NULL,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    job TEXT NOT NULL,
    sender TEXT NOT NULL,
    UNIQUE (tenant, hash)
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS series_source (
    source_id BIGINT NOT NULL,
    series_id BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (source_id, series_id),
    INDEX series_source_series (series_id)
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;

-- Series whose first day (`new`) and whose last day so far (`gone`) it is: of the tenant (`all`, value_id 0), of a metric, of
-- a job (value_id is the id of the label).
CREATE TABLE IF NOT EXISTS daily (
    tenant VARBINARY(150) NOT NULL,
    dim VARCHAR(16) NOT NULL,
    value_id BIGINT NOT NULL,
    day BIGINT NOT NULL,
    new BIGINT NOT NULL,
    gone BIGINT NOT NULL,
    PRIMARY KEY (tenant, dim, value_id, day)
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;

-- Records of the queue that could not be read.
CREATE TABLE IF NOT EXISTS dead_letter (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    at BIGINT NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT NOT NULL,
    record LONGBLOB NOT NULL
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS meta (name VARCHAR(64) PRIMARY KEY, value TEXT NOT NULL) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO meta (name, value) VALUES ('version', '1');
