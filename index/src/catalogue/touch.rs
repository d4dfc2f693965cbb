//! Series that are known and were seen again, by their keys alone, and records that could not be read.

use std::collections::HashMap;

use anyhow::Result;
use pushring_index::{Key, Labels, Sighting};

use super::batch::Batch;
use super::connection::{Connection, Param};
use super::{Catalogue, record};
use crate::pipeline::Touch;

/// A record that could not be read or written.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// Place in the queue: topic, partition, offset.
    pub(crate) origin: String,
    pub(crate) reason: String,
    pub(crate) record: Vec<u8>,
}

impl Catalogue {
    /// Widens the times of series that the catalogue has. A key that it does not have is skipped: its record is on the way.
    ///
    /// # Errors
    /// As [`Catalogue::record`].
    pub(crate) async fn touch(&self, touches: Vec<Touch>) -> Result<()> {
        if touches.is_empty() {
            return Ok(());
        }
        let oldest = touches.iter().map(|touch| touch.last).min();
        self.write(move |sql| sql.transaction(|sql| touches.iter().try_for_each(|touch| widen(sql, touch))))
            .await?;
        if let Some(at) = oldest {
            self.delay.note(at);
        }
        Ok(())
    }

    /// Keeps records for people.
    ///
    /// # Errors
    /// As [`Catalogue::record`].
    pub(crate) async fn bury(&self, letters: Vec<Letter>) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        self.write(move |sql| {
            let mut values = Vec::with_capacity(letters.len() * 4);
            for letter in &letters {
                let Letter { at, origin, reason, record } = letter;
                values.extend([
                    Param::Int(*at),
                    Param::Text(origin),
                    Param::Text(reason),
                    Param::Blob(record),
                ]);
            }
            sql.transaction(|sql| {
                sql.insert("INSERT INTO dead_letter (at, origin, reason, record)", 4, &values, "")
            })
        })
        .await
    }
}

fn widen(sql: &mut Connection, touch: &Touch) -> Result<()> {
    let keys: Vec<[u8; 16]> = touch.keys.iter().map(|key| key.to_bytes()).collect();
    let mut sightings = Vec::with_capacity(keys.len());
    for (key, rows) in record::rows(sql, &touch.tenant, keys.iter())? {
        for row in rows {
            let labels: HashMap<String, String> = serde_json::from_str(&row.labels)?;
            sightings.push(Sighting {
                tenant: touch.tenant.clone(),
                key: Key::from_bytes(key),
                labels: Labels::new(labels.into_iter().collect())?,
                metadata: Default::default(),
                source: touch.source.clone(),
                at: touch.last,
            });
        }
    }
    record::record(sql, &Batch::new(&sightings)).map(drop)
}
