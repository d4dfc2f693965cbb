//! The routes, with requests as clients send them.

use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use axum::body::Body;
use axum::http::Request;

use super::*;
use crate::catalogue::tests::{labels, open, sighting};

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = TowerToHyperService::new(router.clone()).call(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{body:?}")))
}

async fn get_json(router: &Router, path: &str) -> Value {
    let (status, body) = ask(router, Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

async fn filled() -> (tempfile::TempDir, Router) {
    let (folder, catalogue) = open().await;
    let now = question::now();
    let up = |job, instance, at| {
        sighting("", labels(&[("__name__", "up"), ("job", job), ("instance", instance)]), at)
    };
    let mut push = sighting("", labels(&[("__name__", "done"), ("job", "backup")]), now - 1000);
    push.source.kind = pushring_index::Kind::Push;
    push.source.job = "job=\"backup\"".into();
    push.metadata.kind = "gauge".into();
    push.source.owner = "gateway-1".into();
    let mut other = push.clone();
    other.source.owner = "gateway-2".into();
    let mut again = push.clone();
    again.at = now;
    let secret = sighting("other", labels(&[("__name__", "secret"), ("job", "x")]), now);
    let old = up("api", "1", now - 48 * 3_600_000);
    catalogue
        .record(&[old, up("api", "2", now), up("web", "1", now), push, other, again, secret])
        .await
        .unwrap();
    (folder, router(Arc::new(catalogue)))
}

#[tokio::test]
async fn answers_as_prometheus_and_mimir_do() {
    let (_folder, router) = filled().await;
    for (path, pointer, expected) in [
        (
            "/api/v1/series?match[]=up%7Bjob=%22web%22%7D",
            "/data",
            json!([{"__name__": "up", "instance": "1", "job": "web"}]),
        ),
        ("/api/v1/series?match%5B%5D=done&match[]=up{job=%22web%22}", "/data/1/__name__", json!("done")),
        ("/api/v1/series?match[]=done&details=true", "/data/0/type", json!("gauge")),
        ("/api/v1/series?match[]=done&details=1", "/data/0/sources/1/owner", json!("gateway-2")),
        (
            "/api/v1/series?match[]=&match[]=up{job=%22api%22}&seen_since=1h",
            "/data",
            json!([{"__name__": "up", "instance": "2", "job": "api"}]),
        ),
        ("/api/v1/labels", "/data", json!(["__name__", "instance", "job"])),
        ("/api/v1/labels?match[]=done", "/data", json!(["__name__", "job"])),
        ("/api/v1/label/job/values", "/data", json!(["api", "backup", "web"])),
        ("/api/v1/label/job/values?match[]=up", "/data", json!(["api", "web"])),
        ("/api/v1/status/tsdb", "/data/headStats/numSeries", json!(4)),
        ("/api/v1/status/tsdb?limit=1", "/data/seriesCountByMetricName", json!([{"name": "up", "value": 3}])),
        (
            "/api/v1/status/tsdb?topN=1",
            "/data/labelValueCountByLabelName",
            json!([{"name": "job", "value": 3}]),
        ),
        ("/api/v1/status/tsdb", "/data/seriesCountByLabelValuePair/0/name", json!("__name__=up")),
        ("/api/v1/cardinality/label_names", "/label_values_count_total", json!(7)),
        (
            "/api/v1/cardinality/label_names?selector=done",
            "/cardinality/0",
            json!({"label_name": "__name__", "label_values_count": 1}),
        ),
        (
            "/api/v1/cardinality/label_values?label_names[]=job",
            "/labels/0/cardinality/0",
            json!({"label_value": "api", "series_count": 2}),
        ),
        (
            "/api/v1/cardinality/label_values?label_names[]=job&offset=1&limit=1",
            "/labels/0/cardinality/0/label_value",
            json!("backup"),
        ),
        ("/api/v1/new?since=1d", "/summary/total", json!(3)),
        ("/api/v1/new", "/summary/by_metric/0", json!({"name": "up", "value": 2})),
        ("/api/v1/gone", "/data/0/labels/instance", json!("1")),
        ("/api/v1/gone", "/summary/total", json!(1)),
        ("/api/v1/owners", "/data/0/kind", json!("write")),
        ("/api/v1/owners?match[]=done", "/data/1/owner", json!("gateway-2")),
        ("/api/v1/conflicts", "/data/0/owners/0/owner", json!("gateway-1")),
        ("/api/v1/conflicts", "/data/0/group", json!("job=\"backup\"")),
        ("/api/v1/daily?days=3&metric=up", "/data/0/new", json!(1)),
        ("/api/v1/daily?days=3&job=backup", "/data/2/series", json!(1)),
    ] {
        let found = get_json(&router, path).await;
        let part = found.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(part, expected, "{path}: {found}");
    }
}

#[tokio::test]
async fn a_cursor_leads_to_every_series_once() {
    let (_folder, router) = filled().await;
    let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let page = get_json(&router, &format!("/api/v1/series?limit=1&cursor={cursor}")).await;
        all.extend(page["data"].as_array().unwrap().clone());
        let Some(next) = page["cursor"].as_str() else { break };
        assert_eq!(page["warnings"], json!(["results truncated due to limit"]));
        cursor = next.to_owned();
    }
    let whole = get_json(&router, "/api/v1/series").await;
    assert_eq!(Value::Array(all), whole["data"]);
    assert_eq!(whole["data"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another_one() {
    let (_folder, router) = filled().await;
    for path in [
        "series",
        "series?details=1",
        "labels",
        "label/__name__/values",
        "label/job/values",
        "status/tsdb",
        "new?since=9y",
        "gone?since=0",
        "cardinality/label_names",
        "cardinality/label_values?label_names[]=job",
        "owners",
        "conflicts?since=9y",
        "owners?match[]=%7B%7D",
        "status/tsdb?match[]=%7B%7D",
    ] {
        let path = format!("/api/v1/{path}");
        let text = get_json(&router, &path).await.to_string();
        assert!(!text.contains("secret"), "{path}: {text}");
        let request =
            |tenant: &str| Request::get(&path).header(TENANT_HEADER, tenant).body(Body::empty()).unwrap();
        let (_, theirs) = ask(&router, request("other")).await;
        let text = theirs.to_string();
        assert!(
            !text.contains("backup") && !text.contains("api") && !text.contains("instance"),
            "{path}: {text}"
        );
        let (_, nothing) = ask(&router, request("'; --")).await;
        assert!(
            !nothing.to_string().contains("job=") && !nothing.to_string().contains("secret"),
            "{path}: {nothing}"
        );
    }
    // The header, which Envoy sets, wins over the parameter, which a client writes.
    let request = Request::get("/api/v1/series?tenant=other")
        .header(TENANT_HEADER, "third")
        .body(Body::empty())
        .unwrap();
    assert_eq!(ask(&router, request).await.1["data"], json!([]));
    assert_eq!(
        get_json(&router, "/api/v1/series?tenant=other").await["data"][0]["__name__"],
        json!("secret")
    );
}

#[tokio::test]
async fn a_form_is_read_and_a_wrong_request_is_refused() {
    let (_folder, router) = filled().await;
    let form = Request::post("/api/v1/series").body(Body::from("match[]=up{job%3D\"web\"}")).unwrap();
    assert_eq!(ask(&router, form).await.1["data"].as_array().unwrap().len(), 1);
    for path in [
        "series?match[]=up{",
        "series?match[]={a=~%22(%22}",
        "series?limit=x",
        "series?limit=-1",
        "series?cursor=x",
        "new?since=x",
        "cardinality/label_values",
        "daily?metric=a&job=b",
        "series?seen_since=1e300",
    ] {
        let (status, body) =
            ask(&router, Request::get(format!("/api/v1/{path}")).body(Body::empty()).unwrap()).await;
        assert_eq!(
            (status, &body["errorType"]),
            (StatusCode::BAD_REQUEST, &json!("bad_data")),
            "{path}: {body}"
        );
    }
}
