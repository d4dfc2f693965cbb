//! The sections `mysql` and `redis`.

use std::fmt;

use serde::Deserialize;

/// The database of the distributed catalogue: MySQL or MariaDB.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mysql {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Secret,
    #[serde(alias = "dbname")]
    pub(crate) db_name: String,
    /// Most connections.
    pub(crate) max_open_conns: usize,
    /// Connections that stay open without work.
    #[serde(alias = "max_idel_conns")]
    pub(crate) max_idle_conns: usize,
}

impl Default for Mysql {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 3306,
            user: "root".into(),
            password: Secret::default(),
            db_name: "metric-index".into(),
            max_open_conns: 200,
            max_idle_conns: 50,
        }
    }
}

/// The set of known series that all gateways share.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redis {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) password: Secret,
    pub(crate) db: i64,
    /// Size of the original's pool; no effect here: one connection carries all requests.
    pub(crate) pool_size: Option<u64>,
}

impl Default for Redis {
    fn default() -> Self {
        Self { host: "127.0.0.1".into(), port: 6379, password: Secret::default(), db: 0, pool_size: None }
    }
}

/// A password; no message shows it.
#[derive(Clone, Default, Deserialize, PartialEq)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// Returns the text for the server; `None` if it is empty.
    pub(crate) fn reveal(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
