//! Each query against a list of sightings.

use std::collections::{BTreeMap, BTreeSet};

use arbtest::arbitrary::{self, Unstructured};
use pushring_index::matcher::{Matcher, Op, Selector};
use pushring_index::{Key, Kind, Labels, METRIC_NAME, Sighting};

use super::tests::{DAY, labels, open, sighting, sightings, times};
use super::*;

type Model<'s> = BTreeMap<(&'s str, Key, &'s Labels), (i64, i64)>;

fn selector(u: &mut Unstructured<'_>) -> arbitrary::Result<Selector> {
    let mut matchers = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let name = *u.choose(&["__name__", "job", "env", "%'", "none"])?;
        let op = *u.choose(&[Op::Equal, Op::NotEqual, Op::Match, Op::NotMatch])?;
        let value = *u.choose(&["", "a", "b", "up", ".+", "a|b", "[Bu].*", "'\\); DROP TABLE series; --"])?;
        matchers.push(Matcher::new(name, op, value).unwrap());
    }
    Ok(Selector::new(matchers))
}

fn filter(u: &mut Unstructured<'_>) -> arbitrary::Result<Filter> {
    let mut selectors = Vec::new();
    for _ in 0..u.int_in_range(0..=2)? {
        selectors.push(selector(u)?);
    }
    let mut time = || Ok(if u.ratio(1, 4)? { Some(u.int_in_range(-2..=4)? * DAY + 1) } else { None });
    let (first_from, first_until, last_from, last_before) = (time()?, time()?, time()?, time()?);
    let tenant = (*u.choose(&["", "a", "b"])?).to_owned();
    Ok(Filter { tenant, selectors, first_from, first_until, last_from, last_before })
}

/// The labels of the series that a filter accepts, by the definition of its fields.
fn accepted<'s>(model: &Model<'s>, filter: &Filter) -> Vec<&'s Labels> {
    let accepts = |(tenant, _, labels): &(&str, Key, &'s Labels), (first, last): &(i64, i64)| {
        *tenant == filter.tenant
            && (filter.selectors.is_empty()
                || filter.selectors.iter().any(|selector| selector.matches(labels)))
            && filter.first_from.is_none_or(|from| *first >= from)
            && filter.first_until.is_none_or(|until| *first <= until)
            && filter.last_from.is_none_or(|from| *last >= from)
            && filter.last_before.is_none_or(|before| *last < before)
    };
    let mut found: Vec<_> = model
        .iter()
        .filter(|(series, times)| accepts(series, times))
        .map(|((_, _, labels), _)| *labels)
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn every_query_finds_what_was_seen() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    arbtest::arbtest(|u| {
        let all = sightings(u)?;
        let filters = [filter(u)?, filter(u)?, filter(u)?, Filter::default()];
        let limit = u.int_in_range(1..=7)?;
        runtime.block_on(async {
            let (_folder, catalogue) = open().await;
            catalogue.record(&all).await.unwrap();
            let model = times(&all);
            for filter in filters {
                let expected = accepted(&model, &filter);
                pages(&catalogue, &filter, &expected, limit).await;
                counts(&catalogue, &filter, &expected).await;
                owners(&catalogue, &filter, &expected, &all).await;
            }
            days(&catalogue, &model).await;
        });
        Ok(())
    })
    .budget_ms(2000);
}

async fn pages(catalogue: &Catalogue, filter: &Filter, expected: &[&Labels], limit: usize) {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = catalogue.series(filter.clone(), after, limit).await.unwrap();
        assert!(page.series.len() <= limit);
        found.extend(page.series.into_iter().map(|series| series.labels));
        match page.cursor {
            Some(cursor) => after = cursor,
            None => break,
        }
    }
    found.sort_unstable();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
}

async fn counts(catalogue: &Catalogue, filter: &Filter, expected: &[&Labels]) {
    let mut pairs: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (name, value) in expected.iter().flat_map(|labels| labels.iter()) {
        *pairs.entry((name, value)).or_default() += 1;
    }
    let found = catalogue.cardinality(filter.clone(), 1000).await.unwrap();
    assert_eq!(found.series, expected.len() as i64);
    assert_eq!(found.pairs, pairs.len() as i64);
    let top: BTreeMap<_, _> =
        found.top_pairs.iter().map(|pair| ((pair.name.as_str(), pair.value.as_str()), pair.series)).collect();
    assert_eq!(top, pairs);
    assert!(found.top_pairs.is_sorted_by_key(|pair| std::cmp::Reverse(pair.series)));

    let names: BTreeSet<_> = pairs.keys().map(|(name, _)| *name).collect();
    assert_eq!(
        catalogue.label_names(filter.clone()).await.unwrap(),
        names.iter().copied().collect::<Vec<_>>()
    );
    for name in names {
        let of_name: Vec<_> = pairs.iter().filter(|((of, _), _)| *of == name).collect();
        let values: Vec<_> = of_name.iter().map(|((_, value), _)| *value).collect();
        assert_eq!(catalogue.label_values(filter.clone(), name.into(), 1000).await.unwrap(), values);
        let (series, counted) =
            catalogue.value_counts(filter.clone(), vec![name.into()], 0, 1000).await.unwrap();
        assert_eq!(series, expected.len() as i64);
        let [(count, listed)] = counted.as_slice() else { panic!("{counted:?}") };
        assert_eq!(
            (count.values, count.series),
            (values.len() as i64, of_name.iter().map(|(_, count)| **count).sum())
        );
        assert_eq!(listed.len(), values.len());
    }
    let summary = catalogue.summary(filter.clone(), 1000).await.unwrap();
    assert_eq!(summary.total, expected.len() as i64);
    for metric in summary.metrics {
        assert_eq!(pairs.get(&(METRIC_NAME, metric.value.as_str())), Some(&metric.series));
    }
}

async fn owners(catalogue: &Catalogue, filter: &Filter, expected: &[&Labels], all: &[Sighting]) {
    let mut owners: BTreeMap<(String, String), (BTreeSet<_>, i64, i64)> = BTreeMap::new();
    for sighting in all.iter().filter(|one| one.tenant == filter.tenant && expected.contains(&&one.labels)) {
        let owner = (batch::kind(sighting.source.kind).to_owned(), sighting.source.owner.clone());
        let sum = owners.entry(owner).or_insert_with(|| (BTreeSet::new(), sighting.at, sighting.at));
        sum.0.insert((sighting.key, &sighting.labels));
        (sum.1, sum.2) = (sum.1.min(sighting.at), sum.2.max(sighting.at));
    }
    // A filter by time may accept one of two series with the same labels and different keys.
    let unique: BTreeSet<_> = all.iter().map(|one| (&one.tenant, one.key, &one.labels)).collect();
    let by_labels: BTreeSet<_> = unique.iter().map(|(tenant, _, labels)| (tenant, labels)).collect();
    if unique.len() != by_labels.len() {
        return;
    }
    let owners: BTreeMap<_, _> = owners
        .into_iter()
        .map(|(owner, (series, first, last))| (owner, (series.len() as i64, first, last)))
        .collect();
    let found = catalogue.owners(filter.clone()).await.unwrap();
    let found: BTreeMap<_, _> = found
        .into_iter()
        .map(|owner| ((owner.kind, owner.owner), (owner.series, owner.first_seen, owner.last_seen)))
        .collect();
    assert_eq!(found, owners);
}

async fn days(catalogue: &Catalogue, model: &Model<'_>) {
    for of in [Of::All, Of::Metric("up".into()), Of::Job("a".into()), Of::Job("none".into())] {
        let counted = |labels: &Labels| match &of {
            Of::All => true,
            Of::Metric(name) => labels.metric() == name,
            Of::Job(job) => labels.get("job") == Some(job.as_str()),
        };
        let series: Vec<_> = model
            .iter()
            .filter(|((tenant, _, labels), _)| tenant.is_empty() && counted(labels))
            .map(|(_, times)| times)
            .collect();
        let found = catalogue.days(String::new(), of.clone(), -1, 5).await.unwrap();
        assert_eq!(found.len(), 7);
        for Day { day, series: alive, new, gone } in found {
            let count = |is: &dyn Fn(i64, i64) -> bool| {
                series.iter().filter(|(first, last)| is(first.div_euclid(DAY), last.div_euclid(DAY))).count()
                    as i64
            };
            assert_eq!(alive, count(&|first, last| first <= day && day <= last), "{of:?} {day}");
            assert_eq!((new, gone), (count(&|first, _| first == day), count(&|_, last| last == day)));
        }
    }
}

/// A push of the series to an owner by a sender.
fn push(owner: &str, sender: &str, at: i64) -> Sighting {
    let mut sighting = sighting("t", labels(&[("__name__", "done"), ("job", "backup")]), at);
    sighting.source.kind = Kind::Push;
    sighting.source.owner = owner.into();
    sighting.source.sender = sender.into();
    sighting.source.job = "job=\"backup\"".into();
    sighting
}

#[tokio::test]
async fn two_gateways_at_the_same_time_are_a_conflict_and_a_move_is_none() {
    for (pushes, since, expected) in [
        (vec![("a", "s", 1), ("a", "s", 5), ("b", "s", 6), ("b", "s", 9)], 0, None),
        (vec![("a", "s", 1), ("b", "s", 3), ("a", "s", 5)], 0, Some(["a", "b"])),
        // Each with a sender of its own.
        (vec![("a", "1", 1), ("b", "2", 3), ("a", "3", 5)], 0, Some(["a", "b"])),
        (vec![("a", "s", 1), ("b", "s", 3), ("a", "s", 5)], 4, None),
        (vec![("a", "s", 1), ("a", "t", 3)], 0, None),
        (vec![("a", "s", 1), ("", "s", 1)], 0, None),
    ] {
        let (_folder, catalogue) = open().await;
        let all: Vec<_> = pushes.iter().map(|(owner, sender, at)| push(owner, sender, *at)).collect();
        catalogue.record(&all).await.unwrap();
        let found = catalogue.conflicts("t".into(), since).await.unwrap();
        let owners = found
            .first()
            .map(|found| found.owners.iter().map(|owner| owner.owner.as_str()).collect::<Vec<_>>());
        assert_eq!(owners.as_deref(), expected.as_ref().map(<[&str; 2]>::as_slice), "{pushes:?}");
        assert_eq!(catalogue.conflicts("other".into(), 0).await.unwrap(), []);
    }
}

#[tokio::test]
async fn lists_are_intersected_and_scanned_where_they_are_long() {
    let (_folder, catalogue) = open().await;
    let text = |number: usize| number.to_string();
    let series = |number: usize| {
        let (a, b, c) = (text(number % 4), text(number % 5), text(number));
        sighting("", labels(&[("__name__", "up"), ("a", &a), ("b", &b), ("c", &c)]), number as i64)
    };
    let all: Vec<_> = (0..12_000).map(series).collect();
    catalogue.record(&all).await.unwrap();
    for text in
        [r#"{a="1",b="2"}"#, r#"up{a=~"1|2|3"}"#, r#"up{a!="1",b="2"}"#, r#"{a="1",b=~"1|2",c=~".*7"}"#, "up"]
    {
        let selector: Selector = text.parse().unwrap();
        let expected = all.iter().filter(|sighting| selector.matches(&sighting.labels)).count();
        let filter = Filter { selectors: vec![selector], ..Filter::default() };
        let page = catalogue.series(filter.clone(), 0, 20_000).await.unwrap();
        assert_eq!(page.series.len(), expected, "{text}");
        let part = catalogue.series(filter, 0, expected - 1).await.unwrap();
        assert_eq!(part.cursor, Some(part.series.last().unwrap().id));
    }
    for (from, before) in [(Some(11_000), None), (None, Some(500)), (Some(10), Some(20))] {
        let filter = Filter { first_from: from, last_before: before, ..Filter::default() };
        let range = from.unwrap_or(0)..before.unwrap_or(12_000);
        assert_eq!(
            catalogue.series(filter, 0, 20_000).await.unwrap().series.len() as i64,
            range.end - range.start
        );
    }
}
