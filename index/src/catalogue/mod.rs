//! The catalogue: every series, in a database that people can query.
//!
//! A batch of sightings is one transaction; it is on the disk when [`Catalogue::record`] returns. One thread writes, and
//! readers have connections of their own: neither waits for the other.

mod batch;
mod connection;
mod count;
mod daily;
mod expire;
#[cfg(test)]
mod expire_tests;
mod find;
mod intern;
mod mysql;
mod owners;
mod query;
#[cfg(test)]
mod query_tests;
mod record;
mod retention;
#[cfg(test)]
pub(crate) mod tests;
mod touch;

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use pushring_index::Sighting;
use tokio::sync::{Semaphore, oneshot};

use crate::config;
use batch::Batch;
use connection::{Connection, Place};
pub(crate) use count::{Cardinality, NameCount, PairCount};
pub(crate) use daily::{Day, Of};
pub(crate) use find::{Filter, Page, Series};
use mysql::Server;
pub(crate) use owners::{Conflict, Origin, Owner};
pub(crate) use record::Recorded;
pub(crate) use retention::Retention;
pub(crate) use touch::Letter;

/// Queries that run at once; others wait.
const READERS: usize = 8;
/// The version of the schema that this program reads and writes.
const VERSION: &str = "1";
/// The version of the views. Others are replaced: they hold no data, and no program reads them.
const VIEWS: &str = "1";
const SET_VIEWS: &str = "REPLACE INTO meta (name, value) VALUES ('views', ?)";

/// The file of the catalogue in its folder.
pub(crate) const FILE: &str = "catalogue.sqlite";

/// An open catalogue.
pub(crate) struct Catalogue {
    writer: mpsc::Sender<Job>,
    place: Place,
    readers: std::sync::Mutex<Vec<Connection>>,
    slots: Semaphore,
    delay: retention::Delay,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

impl Catalogue {
    /// Opens the catalogue of a folder; creates both if they are not there.
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        let place = Place::File(folder.join(FILE));
        let folder = folder.to_owned();
        let file = folder.join(FILE);
        let open = move || {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create the folder {}", folder.display()))?;
            prepare(&file).with_context(|| format!("cannot open the catalogue {}", file.display()))
        };
        let connection = tokio::task::spawn_blocking(open).await??;
        Self::start(place, connection)
    }

    /// Prepares the catalogue of a server, which is asked when it is needed.
    pub(crate) fn connect(settings: &config::Mysql) -> Result<Self> {
        let place = Place::Server(Server::new(settings));
        let connection = Connection::open(&place)?;
        Self::start(place, connection)
    }

    /// Opens the catalogue that a configuration names.
    pub(crate) async fn of(config: &config::Config) -> Result<Self> {
        match &config.mysql {
            Some(settings) => Self::connect(settings),
            None => Self::open(&config.catalogue.path).await,
        }
    }

    fn start(place: Place, connection: Connection) -> Result<Self> {
        let (writer, jobs) = mpsc::channel::<Job>();
        let write = move |mut connection: Connection| jobs.into_iter().for_each(|job| job(&mut connection));
        thread::Builder::new().name("catalogue".into()).spawn(move || write(connection))?;
        Ok(Self {
            writer,
            place,
            readers: std::sync::Mutex::default(),
            slots: Semaphore::new(READERS),
            delay: retention::Delay::default(),
        })
    }

    /// Records sightings, all or none. They are durable when it returns.
    ///
    /// The first time of a series becomes the least one, its last time the greatest one, in whatever order batches come: a batch
    /// that comes twice changes nothing. The same holds for the times of a source.
    ///
    /// # Errors
    /// If the database refuses; nothing of the batch is recorded then.
    pub(crate) async fn record(&self, batch: &[Sighting]) -> Result<Recorded> {
        Ok(self.record_by_tenant(batch).await?.into_iter().map(|(_, recorded)| recorded).sum())
    }

    /// As [`Catalogue::record`]; returns the result of each tenant.
    pub(crate) async fn record_by_tenant(&self, batch: &[Sighting]) -> Result<Vec<(String, Recorded)>> {
        let oldest = batch.iter().map(|sighting| sighting.at).min();
        let batch = Batch::new(batch);
        let recorded = self.write(move |sql| sql.transaction(|sql| record::record(sql, &batch))).await?;
        if let Some(at) = oldest {
            self.delay.note(at);
        }
        Ok(recorded)
    }

    /// Runs work on the connection that writes.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, done) = oneshot::channel();
        // The request may have gone: the work is done all the same.
        let job: Job = Box::new(move |sql| drop(answer.send(work(sql))));
        self.writer.send(job).map_err(|_| anyhow!("the thread that writes the catalogue has ended"))?;
        done.await.context("the thread that writes the catalogue has ended")?
    }

    /// Runs a query on a connection that only reads.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _slot = self.slots.acquire().await?;
        let kept = self.readers.lock().map_err(|_| anyhow!("a reader has failed"))?.pop();
        let place = self.place.clone();
        let read = move || {
            let mut sql = kept.map_or_else(|| Connection::open(&place), Ok)?;
            let result = work(&mut sql);
            anyhow::Ok((sql, result))
        };
        let (sql, result) = tokio::task::spawn_blocking(read).await??;
        self.readers.lock().map_err(|_| anyhow!("a reader has failed"))?.push(sql);
        result
    }
}

fn prepare(file: &Path) -> Result<Connection> {
    let mut sql = Connection::open(&Place::File(file.to_owned()))?;
    sql.transaction(|sql| sql.script(include_str!("schema/sqlite.sql")))?;
    let version =
        sql.rows("SELECT value FROM meta WHERE name = 'version'", &[])?.first_mut().map(|row| row.text(0));
    match version.transpose()?.as_deref() {
        Some(VERSION) => {}
        other => bail!("its schema has the version {other:?}, this program knows {VERSION}"),
    }
    let views =
        sql.rows("SELECT value FROM meta WHERE name = 'views'", &[])?.first_mut().map(|row| row.text(0));
    if views.transpose()?.as_deref() != Some(VIEWS) {
        sql.transaction(|sql| {
            sql.script(include_str!("schema/views_sqlite.sql"))?;
            sql.run(SET_VIEWS, &[VIEWS.into()])
        })?;
    }
    Ok(sql)
}
