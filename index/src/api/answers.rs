//! The answers.

use std::sync::Arc;

use anyhow::Result;
use pushring_index::Labels;
use serde_json::{Map, Value, json};

use super::question::{Bad, Question, now};
use crate::catalogue::{Catalogue, Day, Filter, Of, Page, PairCount, Series};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Metrics of a summary.
const TOP: usize = 10;
/// Days of an answer without `days`, and the most.
const DAYS: (i64, i64) = (30, 3660);

/// `/api/v1/series`: as Prometheus, the labels of each series. `details=true` adds times, facts and origins.
pub(super) async fn series(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let filter = question.filter()?;
    let page = page(&catalogue, &question, filter.clone()).await?;
    if !question.flag("details") {
        let data = page.series.iter().map(|series| labels_json(&series.labels)).collect();
        return Ok(paged(data, page.cursor));
    }
    let data = details(&catalogue, filter.tenant, &page).await?;
    Ok(paged(data, page.cursor))
}

/// `/api/v1/new`: series that were first seen since a time.
pub(super) async fn new(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let since = question.time("since")?.unwrap_or_else(|| now() - HOUR);
    let filter = Filter { first_from: Some(since), ..question.filter()? };
    changed(catalogue, question, filter, since).await
}

/// `/api/v1/gone`: series that were not seen since a time.
pub(super) async fn gone(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let since = question.time("since")?.unwrap_or_else(|| now() - DAY);
    let filter = Filter { last_before: Some(since), ..question.filter()? };
    changed(catalogue, question, filter, since).await
}

async fn changed(catalogue: Arc<Catalogue>, question: Question, filter: Filter, since: i64) -> Result<Value> {
    let page = page(&catalogue, &question, filter.clone()).await?;
    let data = details(&catalogue, filter.tenant.clone(), &page).await?;
    let summary = catalogue.summary(filter, TOP).await?;
    let mut answer = paged(data, page.cursor);
    answer["summary"] = json!({"since": since, "total": summary.total, "by_metric": named(&summary.metrics)});
    Ok(answer)
}

async fn page(catalogue: &Catalogue, question: &Question, filter: Filter) -> Result<Page> {
    let after = question.number("cursor")?.unwrap_or_default();
    catalogue.series(filter, after, question.page()?).await
}

/// An answer that may have a next part: `cursor` leads to it, and Prometheus' clients read the warning.
fn paged(data: Vec<Value>, cursor: Option<i64>) -> Value {
    let mut answer = success(Value::Array(data));
    if let Some(cursor) = cursor {
        answer["cursor"] = json!(cursor.to_string());
        answer["warnings"] = json!(["results truncated due to limit"]);
    }
    answer
}

async fn details(catalogue: &Catalogue, tenant: String, page: &Page) -> Result<Vec<Value>> {
    let details = catalogue.details(tenant, page).await?;
    let facts = details.metadata.iter().zip(&details.origins);
    let series = page.series.iter().zip(facts).map(|(series, (metadata, sources))| {
        let Series { labels, first_seen, last_seen, .. } = series;
        json!({
            "labels": labels_json(labels), "first_seen": first_seen, "last_seen": last_seen,
            "type": metadata.kind, "unit": metadata.unit, "help": metadata.help, "sources": sources,
        })
    });
    Ok(series.collect())
}

/// `/api/v1/labels`, as Prometheus.
pub(super) async fn labels(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let mut names = catalogue.label_names(question.filter()?).await?;
    names.truncate(question.limit(usize::MAX)?);
    Ok(success(json!(names)))
}

/// `/api/v1/label/NAME/values`, as Prometheus.
pub(super) async fn values(catalogue: Arc<Catalogue>, name: String, question: Question) -> Result<Value> {
    let limit = question.limit(1 << 40)?;
    let values = catalogue.label_values(question.filter()?, unescape(&name), limit).await?;
    Ok(success(json!(values)))
}

/// `/api/v1/status/tsdb`: Prometheus' statistics, and what VictoriaMetrics adds to them.
pub(super) async fn tsdb(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let limit = question.limit(TOP)?;
    let counts = catalogue.cardinality(question.filter()?, limit).await?;
    let by = |count: fn(&crate::catalogue::NameCount) -> i64| {
        let mut all: Vec<_> = counts.names.iter().map(|name| (count(name), &name.name)).collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        Value::Array(
            all.into_iter().take(limit).map(|(value, name)| json!({"name": name, "value": value})).collect(),
        )
    };
    let pair =
        |pair: &PairCount| json!({"name": format!("{}={}", pair.name, pair.value), "value": pair.series});
    Ok(success(json!({
        "headStats": {"numSeries": counts.series, "numLabelPairs": counts.pairs, "chunkCount": 0, "minTime": 0, "maxTime": now()},
        "seriesCountByMetricName": named(&counts.metrics),
        "labelValueCountByLabelName": by(|name| name.values),
        "memoryInBytesByLabelName": [],
        "seriesCountByLabelValuePair": counts.top_pairs.iter().map(pair).collect::<Vec<_>>(),
        "seriesCountByLabelName": by(|name| name.series),
        "totalSeries": counts.series,
        "totalLabelValuePairs": counts.pairs,
    })))
}

/// `/api/v1/cardinality/label_names`, as Mimir: names with the number of their values; `limit` and `offset`.
pub(super) async fn label_names(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let (skip, limit) = (question.number("offset")?.unwrap_or(0), question.limit(20)?);
    let counts = catalogue.cardinality(question.filter()?, 0).await?;
    let names = counts.names.iter().skip(skip).take(limit);
    let names = names.map(|name| json!({"label_name": name.name, "label_values_count": name.values}));
    Ok(json!({
        "label_values_count_total": counts.pairs,
        "label_names_count": counts.names.len(),
        "cardinality": names.collect::<Vec<_>>(),
    }))
}

/// `/api/v1/cardinality/label_values`, as Mimir: the values of `label_names[]` with their series; `limit` and `offset`.
pub(super) async fn label_values(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let names: Vec<_> = question.all("label_names").map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Bad("label_names[]: expected the name of a label".into()).into());
    }
    let (skip, limit) = (question.number("offset")?.unwrap_or(0), question.limit(20)?);
    let (series, counts) = catalogue.value_counts(question.filter()?, names, skip, limit).await?;
    let labels = counts.iter().map(|(name, values)| {
        let values =
            values.iter().map(|value| json!({"label_value": value.value, "series_count": value.series}));
        json!({
            "label_name": name.name, "label_values_count": name.values, "series_count": name.series,
            "cardinality": values.collect::<Vec<_>>(),
        })
    });
    Ok(json!({"series_count_total": series, "labels": labels.collect::<Vec<_>>()}))
}

/// `/api/v1/owners`: protocols and pushgateways that series come from.
pub(super) async fn owners(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let mut owners = catalogue.owners(question.filter()?).await?;
    owners.truncate(question.page()?);
    Ok(success(serde_json::to_value(owners)?))
}

/// `/api/v1/conflicts`: groups that several pushgateways have at the same time, seen since a time.
pub(super) async fn conflicts(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let since = question.time("since")?.unwrap_or_else(|| now() - DAY);
    let skip: usize = question.number("cursor")?.unwrap_or(0);
    let limit = question.page()?;
    let all = catalogue.conflicts(question.tenant.clone(), since).await?;
    let more = all.len() > skip.saturating_add(limit);
    let data = all.iter().skip(skip).take(limit).map(|conflict| {
        json!({
            "group": conflict.group, "series": conflict.series, "owners": conflict.owners,
            "examples": conflict.examples.iter().map(labels_json).collect::<Vec<_>>(),
        })
    });
    let mut answer = paged(data.collect(), more.then_some(skip.saturating_add(limit) as i64));
    answer["summary"] = json!({"since": since, "total": all.len()});
    Ok(answer)
}

/// `/api/v1/daily`: series, new and gone ones of the last `days`, of the tenant, a `metric` or a `job`.
pub(super) async fn daily(catalogue: Arc<Catalogue>, question: Question) -> Result<Value> {
    let of = match (question.get("metric"), question.get("job")) {
        (None, None) => Of::All,
        (Some(metric), None) => Of::Metric(metric.to_owned()),
        (None, Some(job)) => Of::Job(job.to_owned()),
        _ => return Err(Bad("metric and job: expected one of them".into()).into()),
    };
    let (default, most) = DAYS;
    let days = question.number("days")?.unwrap_or(default).clamp(1, most);
    let today = now().div_euclid(DAY);
    let days = catalogue.days(question.tenant.clone(), of, today - days + 1, today).await?;
    let day = |Day { day, series, new, gone }: Day| {
        let date = jiff::Timestamp::from_millisecond(day * DAY)?.strftime("%Y-%m-%d").to_string();
        Ok(json!({"day": date, "series": series, "new": new, "gone": gone}))
    };
    Ok(success(Value::Array(days.into_iter().map(day).collect::<Result<_>>()?)))
}

fn success(data: Value) -> Value {
    json!({"status": "success", "data": data})
}

fn named(pairs: &[PairCount]) -> Vec<Value> {
    pairs.iter().map(|pair| json!({"name": pair.value, "value": pair.series})).collect()
}

fn labels_json(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>())
}

/// Reads a name as Prometheus escapes it in the path: `U__` and `_2e_` for a character that plain names do not have.
fn unescape(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut plain = String::new();
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once('_') {
        plain += before;
        let read = |(code, after)| Some((char::from_u32(u32::from_str_radix(code, 16).ok()?)?, after));
        if let Some(after) = after.strip_prefix('_') {
            plain.push('_');
            rest = after;
        } else if let Some((char, after)) = after.split_once('_').and_then(read) {
            plain.push(char);
            rest = after;
        } else {
            return name.to_owned();
        }
    }
    plain + rest
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn names_in_paths_are_escaped_as_in_prometheus() {
        for (escaped, plain) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U___1f980_", "🦀"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_2e", "U__a_2e"),
        ] {
            assert_eq!(unescape(escaped), plain);
        }
    }
}
