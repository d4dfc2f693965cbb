//! A connection to MySQL or MariaDB. It opens when it is needed, so that the database may be away at the start and later.

use std::sync::Once;

use anyhow::{Context, Result, bail};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, Value};
use tokio::runtime::Handle;
use tracing::warn;

use super::connection::{Cell, Param, Row};
use super::{SET_VIEWS, VERSION, VIEWS};
use crate::config;

const SCHEMA: &str = include_str!("schema/mysql.sql");
const VIEW_SCHEMA: &str = include_str!("schema/views_mysql.sql");

static WARNED: Once = Once::new();

/// The connection; it blocks, so that it works outside of the tasks of the runtime.
pub(super) struct Mysql {
    server: Server,
    conn: Option<Conn>,
}

/// The address of a database, and the runtime that connects to it.
#[derive(Clone)]
pub(super) struct Server {
    opts: Opts,
    runtime: Handle,
}

impl Server {
    /// The caller runs in the runtime.
    pub(super) fn new(settings: &config::Mysql) -> Self {
        let opts = OptsBuilder::default()
            .ip_or_hostname(&settings.host)
            .tcp_port(settings.port)
            .user(Some(&settings.user))
            .pass(settings.password.reveal())
            .db_name(Some(&settings.db_name))
            // Sockets of the same machine would need the path of the server.
            .prefer_socket(false)
            .stmt_cache_size(128);
        Self { opts: opts.into(), runtime: Handle::current() }
    }
}

impl Mysql {
    pub(super) fn new(server: Server) -> Self {
        Self { server, conn: None }
    }

    /// Runs statements without parameters, one after another.
    pub(super) fn script(&mut self, script: &str) -> Result<()> {
        for statement in statements(script) {
            self.call(async |conn| conn.query_drop(statement).await)?;
        }
        Ok(())
    }

    pub(super) fn run(&mut self, sql: &str, params: &[Param<'_>]) -> Result<usize> {
        let params = values(params);
        self.call(async |conn| {
            conn.exec_drop(sql, params).await?;
            Ok(conn.affected_rows() as usize)
        })
    }

    pub(super) fn rows(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        let params = values(params);
        let rows: Vec<mysql_async::Row> = self.call(async |conn| conn.exec(sql, params).await)?;
        rows.into_iter()
            .map(|row| row.unwrap().into_iter().map(cell).collect::<Result<_>>().map(Row))
            .collect()
    }

    /// Opens the connection if there is none.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.script("START TRANSACTION")
    }

    /// Undoes a transaction. A connection that cannot do so is closed, which does.
    pub(super) fn roll_back(&mut self) {
        if self.conn.is_some() && self.script("ROLLBACK").is_err() {
            self.conn = None;
        }
    }

    fn call<T>(&mut self, work: impl AsyncFnOnce(&mut Conn) -> mysql_async::Result<T>) -> Result<T> {
        let Server { opts, runtime } = self.server.clone();
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => runtime.block_on(open(opts)).context("cannot connect to MySQL")?,
        };
        let conn = self.conn.insert(conn);
        let done = runtime.block_on(work(conn));
        // After a fatal error the server has ended the transaction, too.
        if done.as_ref().is_err_and(mysql_async::Error::is_fatal) {
            self.conn = None;
        }
        Ok(done?)
    }
}

/// Connects and creates the tables that are not there.
async fn open(opts: Opts) -> Result<Conn> {
    let mut conn = Conn::new(opts).await?;
    for statement in statements(SCHEMA) {
        conn.query_drop(statement).await?;
    }
    let version: Option<String> = conn.query_first("SELECT value FROM meta WHERE name = 'version'").await?;
    match version.as_deref() {
        Some(VERSION) => {}
        other => bail!("its schema has the version {other:?}, this program knows {VERSION}"),
    }
    if let Err(error) = views(&mut conn).await {
        // The user may lack the privilege CREATE VIEW; the catalogue itself needs no view.
        let warn = || warn!(error = error.to_string(), "the views of the catalogue cannot be created");
        WARNED.call_once(warn);
    }
    Ok(conn)
}

/// Creates the views, or replaces those of another version.
async fn views(conn: &mut Conn) -> mysql_async::Result<()> {
    let version: Option<String> = conn.query_first("SELECT value FROM meta WHERE name = 'views'").await?;
    if version.as_deref() == Some(VIEWS) {
        return Ok(());
    }
    for statement in statements(VIEW_SCHEMA) {
        conn.query_drop(statement).await?;
    }
    conn.exec_drop(SET_VIEWS, (VIEWS,)).await
}

fn statements(script: &str) -> impl Iterator<Item = &str> {
    script.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

fn values(params: &[Param<'_>]) -> Params {
    if params.is_empty() {
        return Params::Empty;
    }
    let value = |param: &Param<'_>| match *param {
        Param::Int(number) => Value::Int(number),
        Param::Text(text) => Value::Bytes(text.as_bytes().to_vec()),
        Param::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    };
    Params::Positional(params.iter().map(value).collect())
}

fn cell(value: Value) -> Result<Cell> {
    Ok(match value {
        Value::NULL => Cell::Null,
        Value::Int(number) => Cell::Int(number),
        Value::UInt(number) => Cell::Int(i64::try_from(number)?),
        Value::Bytes(bytes) => Cell::Bytes(bytes),
        other => bail!("the database returned {other:?}"),
    })
}

/// Returns the end of an INSERT that SQLite knows as MySQL knows it.
pub(super) fn on_duplicate(conflict: &str) -> String {
    let Some((_, set)) = conflict.split_once("DO UPDATE SET") else { return String::new() };
    let set = set.replace("min(", "LEAST(").replace("max(", "GREATEST(");
    let mut parts = set.split("excluded.");
    let mut text = format!("ON DUPLICATE KEY UPDATE{}", parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(part.len());
        let (column, rest) = part.split_at(end);
        text.push_str(&format!("VALUES({column}){rest}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_is_written_as_mysql_knows_it() {
        let sqlite = "ON CONFLICT (a, b) DO UPDATE SET x = min(x, excluded.x), n = n + excluded.n";
        assert_eq!(
            on_duplicate(sqlite),
            "ON DUPLICATE KEY UPDATE x = LEAST(x, VALUES(x)), n = n + VALUES(n)"
        );
        assert_eq!(on_duplicate(""), "");
    }
}
