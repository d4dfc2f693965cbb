//! Tests of deleting, against a list of sightings.

use super::tests::{DAY, labels, open, sighting, sightings, times};
use super::*;

/// Each is a row that nothing refers to, or a wrong count.
const LEFT_BEHIND: [&str; 8] = [
    "SELECT count(*) FROM label WHERE series = 0 OR series <> (SELECT count(*) FROM series_label WHERE label_id = id)",
    "SELECT count(*) FROM series_label WHERE series_id NOT IN (SELECT id FROM series)",
    "SELECT count(*) FROM series_source WHERE series_id NOT IN (SELECT id FROM series)",
    "SELECT count(*) FROM series_source WHERE source_id NOT IN (SELECT id FROM source)",
    "SELECT count(*) FROM source WHERE id NOT IN (SELECT source_id FROM series_source)",
    "SELECT count(*) FROM series WHERE id NOT IN (SELECT series_id FROM series_source)",
    "SELECT count(*) FROM metric WHERE id NOT IN (SELECT id FROM label WHERE name = '__name__')",
    "SELECT count(*) FROM daily WHERE dim <> 'all' AND value_id NOT IN (SELECT id FROM label)",
];

async fn number(catalogue: &Catalogue, query: &'static str) -> i64 {
    catalogue.read(|sql| sql.rows(query, &[])?.first().unwrap().int(0)).await.unwrap()
}

#[test]
fn only_what_living_series_use_stays() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    arbtest::arbtest(|u| {
        let all = sightings(u)?;
        let before = u.int_in_range(-3..=6)? * DAY + u.int_in_range(0..=3)?;
        runtime.block_on(async {
            let (_folder, catalogue) = open().await;
            catalogue.record(&all).await.unwrap();
            let days = "SELECT coalesce(sum(new * day * 1000 + gone * day), 0) FROM daily WHERE dim = 'all'";
            let churn = number(&catalogue, days).await;
            let times = times(&all);
            let old = times.values().filter(|(_, last)| *last < before).count();
            assert_eq!(catalogue.expire(before).await.unwrap(), old as u64);
            assert_eq!(number(&catalogue, "SELECT count(*) FROM series").await, (times.len() - old) as i64);
            assert_eq!(catalogue.expire(before).await.unwrap(), 0);
            let old_source = "SELECT coalesce(min(last_seen), 1 << 60) FROM series_source";
            assert!(number(&catalogue, old_source).await >= before);
            for query in LEFT_BEHIND {
                assert_eq!(number(&catalogue, query).await, 0, "{query}");
            }
            assert_eq!(number(&catalogue, days).await, churn, "the days stay as they were");
            // A series that comes again is new, and the index of the matchers is whole.
            assert_eq!(catalogue.record(&all).await.unwrap().new, old as u64);
            for query in LEFT_BEHIND {
                assert_eq!(number(&catalogue, query).await, 0, "{query}");
            }
        });
        Ok(())
    })
    .budget_ms(1000);
}

#[tokio::test]
async fn a_series_that_lives_forgets_the_senders_that_have_gone() {
    let (_folder, catalogue) = open().await;
    let series = |number: usize, sender: &str, at| {
        let mut one = sighting("", labels(&[("__name__", "up"), ("number", &number.to_string())]), at);
        one.source.sender = sender.into();
        one
    };
    let of = |sender: &str, at| (0..1000).map(|number| series(number, sender, at)).collect::<Vec<_>>();
    catalogue.record(&of("old", 5 * DAY)).await.unwrap();
    catalogue.record(&of("new", 7 * DAY)).await.unwrap();
    catalogue.record(&[series(500, "old", 7 * DAY)]).await.unwrap();
    assert_eq!(catalogue.expire(6 * DAY).await.unwrap(), 0);
    assert_eq!(number(&catalogue, "SELECT count(*) FROM series_source").await, 1001);
    assert_eq!(number(&catalogue, "SELECT count(*) FROM source").await, 2, "it still sends one of them");
    catalogue.record(&of("new", 9 * DAY)).await.unwrap();
    assert_eq!(catalogue.expire(8 * DAY).await.unwrap(), 0);
    assert_eq!(number(&catalogue, "SELECT count(*) FROM source").await, 1);
    assert_eq!(number(&catalogue, "SELECT count(*) FROM series").await, 1000);
}

#[tokio::test]
async fn many_series_are_deleted_in_batches_and_are_gone_once() {
    let (_folder, catalogue) = open().await;
    let series = |number: usize, at| {
        let number = number.to_string();
        sighting("", labels(&[("__name__", "up"), ("job", "a"), ("number", &number)]), at)
    };
    let old: Vec<_> = (0..1000).map(|number| series(number, 5 * DAY)).collect();
    catalogue.record(&old).await.unwrap();
    catalogue.record(&[series(1000, 7 * DAY)]).await.unwrap();
    assert_eq!(catalogue.expire(6 * DAY).await.unwrap(), 1000);
    let days = catalogue.days(String::new(), Of::Job("a".into()), 5, 7).await.unwrap();
    let found: Vec<_> = days.iter().map(|day| (day.series, day.new, day.gone)).collect();
    assert_eq!(found, [(1000, 1000, 1000), (0, 0, 0), (1, 1, 1)]);
    assert_eq!(number(&catalogue, "SELECT count(*) FROM label WHERE name = 'number'").await, 1);
}
