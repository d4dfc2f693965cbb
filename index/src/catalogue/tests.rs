//! Tests of recording, against a list of sightings.

use std::collections::{BTreeMap, BTreeSet};

use pushring_index::{Key, Kind, Labels, Metadata, Sighting, Source};

use super::*;

pub(super) const DAY: i64 = 86_400_000;

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()).unwrap()
}

pub(crate) fn sighting(tenant: &str, labels: Labels, at: i64) -> Sighting {
    Sighting {
        tenant: tenant.into(),
        key: Key::new(tenant, &labels),
        source: Source {
            kind: Kind::Write,
            owner: String::new(),
            job: labels.get("job").unwrap_or_default().into(),
            sender: "10.0.0.1".into(),
        },
        labels,
        metadata: Metadata::default(),
        at,
    }
}

pub(crate) async fn open() -> (tempfile::TempDir, Catalogue) {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open(folder.path()).await.unwrap();
    (folder, catalogue)
}

/// Runs a query of a number.
async fn number(catalogue: &Catalogue, query: &'static str) -> i64 {
    catalogue.read(|sql| sql.rows(query, &[])?.first().unwrap().int(0)).await.unwrap()
}

#[tokio::test]
async fn a_batch_that_comes_twice_changes_nothing() {
    let (_folder, catalogue) = open().await;
    let series =
        |value: &str, at| sighting("", labels(&[("__name__", "up"), ("job", "a"), ("instance", value)]), at);
    let batch = [series("1", 5), series("2", 5), series("1", 9)];
    assert_eq!(catalogue.record(&batch).await.unwrap(), Recorded { new: 2, known: 0, collisions: 0 });
    assert_eq!(catalogue.record(&batch).await.unwrap(), Recorded { new: 0, known: 2, collisions: 0 });
    assert_eq!(number(&catalogue, "SELECT count(*) FROM series").await, 2);
    assert_eq!(number(&catalogue, "SELECT count(*) FROM series_label").await, 6);
    assert_eq!(number(&catalogue, "SELECT series FROM label WHERE name = 'job'").await, 2);
    assert_eq!(number(&catalogue, "SELECT last_seen FROM series WHERE labels LIKE '%\"1\"%'").await, 9);
    assert_eq!(number(&catalogue, "SELECT first_seen FROM series WHERE labels LIKE '%\"1\"%'").await, 5);
    assert_eq!(number(&catalogue, "SELECT sum(new) FROM daily WHERE dim = 'all'").await, 2);
}

#[tokio::test]
async fn a_collision_is_a_row_of_its_own() {
    let (_folder, catalogue) = open().await;
    let mut batch: Vec<_> =
        ["a", "b", "c"].map(|job| sighting("", labels(&[("__name__", "up"), ("job", job)]), 5)).into();
    let key = batch[0].key;
    batch.iter_mut().for_each(|sighting| sighting.key = key);
    assert_eq!(catalogue.record(&batch[..2]).await.unwrap(), Recorded { new: 2, known: 0, collisions: 1 });
    assert_eq!(catalogue.record(&batch).await.unwrap(), Recorded { new: 1, known: 2, collisions: 1 });
    assert_eq!(number(&catalogue, "SELECT count(DISTINCT n) FROM series").await, 3);
}

#[tokio::test]
async fn a_hash_of_other_texts_makes_no_label_wrong() {
    let (_folder, catalogue) = open().await;
    catalogue.record(&[sighting("", labels(&[("__name__", "up"), ("job", "a")]), 5)]).await.unwrap();
    // As if the texts of the row had the hash of job="a".
    let forge = |sql: &mut Connection| sql.run("UPDATE label SET value = 'forged' WHERE name = 'job'", &[]);
    catalogue.write(forge).await.unwrap();
    catalogue.record(&[sighting("", labels(&[("__name__", "down"), ("job", "a")]), 5)]).await.unwrap();
    let query = "SELECT l.series FROM label l JOIN series_label x ON x.label_id = l.id JOIN series s ON s.id = x.series_id \
                 WHERE l.name = 'job' AND l.value = 'a' AND s.labels LIKE '%down%'";
    assert_eq!(number(&catalogue, query).await, 1);
    assert_eq!(number(&catalogue, "SELECT count(*) FROM label WHERE value = 'forged'").await, 1);
}

#[tokio::test]
async fn facts_about_a_metric_stay_until_others_come() {
    let (_folder, catalogue) = open().await;
    let with = |kind: &str, help: &str| {
        let mut sighting = sighting("", labels(&[("__name__", "up"), ("job", "a")]), 5);
        sighting.metadata = Metadata { kind: kind.into(), unit: String::new(), help: help.into() };
        [sighting]
    };
    for (kind, help, expected) in [
        ("", "", ("", "")),
        ("gauge", "Is it up?", ("gauge", "Is it up?")),
        ("", "", ("gauge", "Is it up?")),
        ("counter", "", ("counter", "Is it up?")),
    ] {
        catalogue.record(&with(kind, help)).await.unwrap();
        let read = catalogue.read(|sql| {
            let mut rows = sql.rows("SELECT type, help FROM metric WHERE name = 'up'", &[])?;
            Ok((rows[0].text(0)?, rows[0].text(1)?))
        });
        let found = read.await.unwrap();
        assert_eq!((found.0.as_str(), found.1.as_str()), expected);
    }
}

/// Draws sightings of few series, so that they come again, on few days and in any order.
pub(super) fn sightings(
    u: &mut arbtest::arbitrary::Unstructured<'_>,
) -> arbtest::arbitrary::Result<Vec<Sighting>> {
    let mut all = Vec::new();
    for _ in 0..u.int_in_range(0..=40)? {
        let mut pairs = vec![("__name__", *u.choose(&["up", "down", "q'\"\\\u{202e}"])?)];
        for name in ["job", "env", "%'"] {
            let value = *u.choose(&["", "a", "b", "B", "'); DROP TABLE series; --"])?;
            pairs.push((name, value));
        }
        let at = u.int_in_range(-2..=4)? * DAY + u.int_in_range(0..=3)?;
        let mut sighting = sighting(u.choose(&["", "a", "b"])?, labels(&pairs), at);
        if u.ratio(1, 3)? {
            sighting.source.kind = Kind::Push;
            sighting.source.owner = (*u.choose(&["gateway-1", "gateway-2"])?).into();
        }
        if u.ratio(1, 10)? {
            sighting.key = Key::from_bytes([7; 16]);
        }
        all.push(sighting);
    }
    Ok(all)
}

/// The least and the greatest time of each series, as a list of sightings has them.
pub(super) fn times(all: &[Sighting]) -> BTreeMap<(&str, Key, &Labels), (i64, i64)> {
    let mut times = BTreeMap::new();
    for sighting in all {
        let series = (sighting.tenant.as_str(), sighting.key, &sighting.labels);
        let times = times.entry(series).or_insert((sighting.at, sighting.at));
        *times = (times.0.min(sighting.at), times.1.max(sighting.at));
    }
    times
}

#[test]
fn the_catalogue_is_what_was_seen() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    arbtest::arbtest(|u| {
        let all = sightings(u)?;
        let batches = u.int_in_range(1..=5)?;
        runtime.block_on(async {
            let (_folder, catalogue) = open().await;
            for batch in all.chunks(all.len() / batches + 1) {
                catalogue.record(batch).await.unwrap();
            }
            compare(&catalogue, &all).await;
        });
        Ok(())
    })
    .budget_ms(1000);
}

async fn compare(catalogue: &Catalogue, all: &[Sighting]) {
    let times = times(all);
    let expected: BTreeSet<_> = times
        .iter()
        .map(|((tenant, key, labels), (first, last))| {
            ((*tenant).to_owned(), key.to_bytes(), batch::json(labels), *first, *last)
        })
        .collect();
    let found = catalogue.read(|sql| {
        let rows = sql.rows("SELECT tenant, `key`, labels, first_seen, last_seen FROM series", &[])?;
        rows.into_iter()
            .map(|mut row| Ok((row.text(0)?, row.hash(1)?, row.text(2)?, row.int(3)?, row.int(4)?)))
            .collect()
    });
    let found: Vec<_> = found.await.unwrap();
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);

    let mut labels: BTreeMap<_, i64> = BTreeMap::new();
    let mut days: BTreeMap<_, (i64, i64)> = BTreeMap::new();
    for ((tenant, _, series), (first, last)) in &times {
        for (name, value) in series.iter() {
            *labels.entry(((*tenant).to_owned(), name.to_owned(), value.to_owned())).or_default() += 1;
        }
        days.entry(((*tenant).to_owned(), first.div_euclid(DAY))).or_default().0 += 1;
        days.entry(((*tenant).to_owned(), last.div_euclid(DAY))).or_default().1 += 1;
    }
    let found = catalogue.read(|sql| {
        let counts = "SELECT tenant, name, value, series, (SELECT count(*) FROM series_label WHERE label_id = id) FROM label";
        let labels = sql.rows(counts, &[])?.into_iter().map(|mut row| {
            assert_eq!(row.int(3)?, row.int(4)?);
            Ok(((row.text(0)?, row.text(1)?, row.text(2)?), row.int(3)?))
        });
        let labels: BTreeMap<_, _> = labels.collect::<Result<_>>()?;
        let days = sql.rows("SELECT tenant, day, new, gone FROM daily WHERE dim = 'all' AND (new <> 0 OR gone <> 0)", &[])?;
        let days = days.into_iter().map(|mut row| Ok(((row.text(0)?, row.int(1)?), (row.int(2)?, row.int(3)?))));
        Ok((labels, days.collect::<Result<BTreeMap<_, _>>>()?))
    });
    assert_eq!(found.await.unwrap(), (labels, days));
}
