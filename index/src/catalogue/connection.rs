//! One connection to a database, with what the catalogue needs of SQL and no more.
//!
//! Every text in the catalogue is somebody else's: a statement is a constant of ours, and each value is a bound parameter.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::mysql::{Mysql, Server, on_duplicate};

/// Statements that a connection keeps prepared.
const PREPARED: usize = 128;
/// Rows of one INSERT, largest first: few texts, so that all of them stay prepared.
const ROWS: [usize; 3] = [128, 16, 1];
/// Values of one list, see [`lists`].
const LIST: usize = 512;

/// A connection; it blocks.
pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Mysql(Mysql),
}

/// The place of a catalogue.
#[derive(Clone)]
pub(super) enum Place {
    File(PathBuf),
    Server(Server),
}

/// A value that goes into a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Param<'p> {
    Int(i64),
    Text(&'p str),
    Blob(&'p [u8]),
}

/// A row that a statement returns.
pub(super) struct Row(pub(super) Vec<Cell>);

pub(super) enum Cell {
    Null,
    Int(i64),
    Bytes(Vec<u8>),
}

impl Connection {
    /// Opens a catalogue; a file that is not there is created, a server is asked later.
    pub(super) fn open(place: &Place) -> Result<Self> {
        match place {
            Place::File(file) => Self::open_file(file),
            Place::Server(server) => Ok(Self::Mysql(Mysql::new(server.clone()))),
        }
    }

    fn open_file(file: &Path) -> Result<Self> {
        let sqlite = rusqlite::Connection::open(file).context("cannot open the file")?;
        sqlite.busy_timeout(Duration::from_secs(30))?;
        sqlite.set_prepared_statement_cache_capacity(PREPARED);
        // A transaction is on the disk when it has ended; readers do not wait for the writer.
        sqlite.pragma_update(None, "journal_mode", "wal")?;
        sqlite.pragma_update(None, "synchronous", "full")?;
        sqlite.pragma_update(None, "cache_size", -65_536)?;
        sqlite.pragma_update(None, "mmap_size", 1_i64 << 30)?;
        sqlite.pragma_update(None, "temp_store", "memory")?;
        Ok(Self::Sqlite(sqlite))
    }

    /// Runs statements without parameters.
    pub(super) fn script(&mut self, script: &str) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => Ok(sqlite.execute_batch(script)?),
            Self::Mysql(mysql) => mysql.script(script),
        }
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub(super) fn run(&mut self, sql: &str, params: &[Param<'_>]) -> Result<usize> {
        match self {
            Self::Sqlite(sqlite) => {
                Ok(sqlite.prepare_cached(sql)?.execute(rusqlite::params_from_iter(params))?)
            }
            Self::Mysql(mysql) => mysql.run(sql, params),
        }
    }

    /// Returns all rows of a statement.
    pub(super) fn rows(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        let sqlite = match self {
            Self::Sqlite(sqlite) => sqlite,
            Self::Mysql(mysql) => return mysql.rows(sql, params),
        };
        let mut statement = sqlite.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|column| {
                Ok(match row.get_ref(column)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Int(number),
                    ValueRef::Real(number) => Cell::Int(number as i64),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
                })
            });
            all.push(Row(cells.collect::<Result<_>>()?));
        }
        Ok(all)
    }

    /// Returns the first column of a statement, which is a number.
    pub(super) fn ids(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<i64>> {
        let sqlite = match self {
            Self::Sqlite(sqlite) => sqlite,
            Self::Mysql(mysql) => return mysql.rows(sql, params)?.iter().map(|row| row.int(0)).collect(),
        };
        let mut statement = sqlite.prepare_cached(sql)?;
        let ids = statement.query_map(rusqlite::params_from_iter(params), |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the end of a SELECT that locks its rows until the end of the transaction. SQLite has one writer.
    pub(super) fn for_update(&self) -> &'static str {
        if matches!(self, Self::Mysql(_)) { " FOR UPDATE" } else { "" }
    }

    /// Returns the end of a SELECT whose rows stay until the end of the transaction, if others may delete them.
    pub(super) fn for_share(&self) -> Option<&'static str> {
        matches!(self, Self::Mysql(_)).then_some(" LOCK IN SHARE MODE")
    }

    /// Runs statements that take effect together, or not at all.
    pub(super) fn transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        match self {
            Self::Sqlite(sqlite) => sqlite.execute_batch("BEGIN IMMEDIATE")?,
            Self::Mysql(mysql) => mysql.begin()?,
        }
        let done = work(self).and_then(|done| self.script("COMMIT").map(|()| done));
        if done.is_err() {
            match self {
                Self::Sqlite(sqlite) if !sqlite.is_autocommit() => sqlite.execute_batch("ROLLBACK")?,
                Self::Sqlite(_) => {}
                Self::Mysql(mysql) => mysql.roll_back(),
            }
        }
        done
    }

    /// Inserts rows with one statement for many of them. `into` is the text up to VALUES, `conflict` the text behind.
    pub(super) fn insert(
        &mut self,
        into: &str,
        columns: usize,
        values: &[Param<'_>],
        conflict: &str,
    ) -> Result<()> {
        let of_mysql = matches!(self, Self::Mysql(_)).then(|| on_duplicate(conflict));
        let conflict = of_mysql.as_deref().unwrap_or(conflict);
        let mut rest = values;
        for rows in ROWS {
            let size = rows * columns;
            let mut sql = None;
            while rest.len() >= size && size > 0 {
                let (these, others) = rest.split_at(size);
                let row = format!("({})", marks(columns));
                let sql = sql
                    .get_or_insert_with(|| format!("{into} VALUES {} {conflict}", vec![row; rows].join(",")));
                self.run(sql, these)?;
                rest = others;
            }
        }
        Ok(())
    }
}

/// Returns question marks for a list of values.
pub(super) fn marks(count: usize) -> String {
    vec!["?"; count].join(",")
}

/// Splits values into lists for `IN (…)`, each with a power of two of them: the last value is repeated, so that there are few
/// texts of statements.
pub(super) fn lists<'p>(values: impl IntoIterator<Item = Param<'p>>) -> Vec<Vec<Param<'p>>> {
    let all: Vec<_> = values.into_iter().collect();
    let fill = |list: &[Param<'p>]| {
        let mut list = list.to_vec();
        if let Some(last) = list.last().copied() {
            list.resize(list.len().next_power_of_two(), last);
        }
        list
    };
    all.chunks(LIST).map(fill).collect()
}

impl Row {
    /// Takes a number; 0 for NULL, which only a sum of nothing is.
    pub(super) fn int(&self, column: usize) -> Result<i64> {
        match self.0.get(column) {
            Some(Cell::Int(number)) => Ok(*number),
            Some(Cell::Null) => Ok(0),
            // Sums are decimals in MySQL.
            Some(Cell::Bytes(digits)) => Ok(std::str::from_utf8(digits)?.parse()?),
            None => bail!("the database returned no column {column}"),
        }
    }

    /// Takes a text out of the row.
    pub(super) fn text(&mut self, column: usize) -> Result<String> {
        Ok(String::from_utf8(self.bytes(column)?)?)
    }

    /// Takes a hash or a key.
    pub(super) fn hash(&mut self, column: usize) -> Result<[u8; 16]> {
        let bytes = self.bytes(column)?;
        bytes.as_slice().try_into().with_context(|| format!("a hash has {} bytes, not 16", bytes.len()))
    }

    /// Takes bytes out of the row.
    pub(super) fn bytes(&mut self, column: usize) -> Result<Vec<u8>> {
        match self.0.get_mut(column) {
            Some(Cell::Bytes(bytes)) => Ok(std::mem::take(bytes)),
            _ => bail!("the database returned no text in column {column}"),
        }
    }
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Int(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl From<i64> for Param<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl<'p> From<&'p str> for Param<'p> {
    fn from(text: &'p str) -> Self {
        Self::Text(text)
    }
}

impl<'p> From<&'p [u8; 16]> for Param<'p> {
    fn from(hash: &'p [u8; 16]) -> Self {
        Self::Blob(hash)
    }
}
