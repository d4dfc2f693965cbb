//! The page over a real catalogue, as a browser gets it.

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use pushring_index::Kind;

use super::router;
use crate::catalogue::tests::{labels, open, sighting};

/// Answers a request, with a header of the tenant if there is one.
async fn get(
    sightings: &[pushring_index::Sighting],
    path: &str,
    tenant: Option<&str>,
) -> (StatusCode, String) {
    let (_dir, catalogue) = open().await;
    catalogue.record(sightings).await.unwrap();
    let mut request = Request::get(path);
    if let Some(tenant) = tenant {
        request = request.header("x-scope-orgid", tenant);
    }
    let routes = TowerToHyperService::new(router(std::sync::Arc::new(catalogue)));
    let answer: Response<_> = routes.call(request.body(Body::empty()).unwrap()).await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!policy.contains("script-src"), "no script at all");
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn push(owner: &str, at: i64) -> pushring_index::Sighting {
    let mut push = sighting("", labels(&[("__name__", "runs"), ("job", "a<b>\"c"), ("zone", "z")]), at);
    push.source.kind = Kind::Push;
    push.source.owner = owner.into();
    push
}

#[tokio::test]
async fn finds_series_by_a_selector_and_refuses_a_wrong_one() {
    let now = crate::api::now();
    let series = [push("gateway-1", now), sighting("", labels(&[("__name__", "up"), ("job", "x")]), now)];
    let (status, html) = get(&series, "/search?match=runs%7Bzone%3D%22z%22%7D", None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("1 series") && html.contains("gateway-1") && !html.contains(">up<"), "{html}");
    assert!(html.contains("a&lt;b&gt;&quot;c") && !html.contains("<b>"), "{html}");
    for path in ["/search?match=%7B", "/new?since=often", "/conflicts?since=often"] {
        let (_, html) = get(&series, path, None).await;
        assert!(html.contains("class=\"error\""), "{path}: {html}");
    }
}

#[tokio::test]
async fn an_error_of_the_catalogue_shows_nothing_of_the_machine() {
    let (dir, catalogue) = open().await;
    let path = dir.path().display().to_string();
    drop(dir);
    let routes = TowerToHyperService::new(router(std::sync::Arc::new(catalogue)));
    let answer = routes.call(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let html = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(html.contains("The catalogue failed.") && !html.contains(&path), "{html}");
    assert!(!html.contains("cannot open"), "{html}");
}

#[tokio::test]
async fn each_part_of_a_list_leads_to_the_next() {
    let now = crate::api::now();
    let one = |n: usize| sighting("", labels(&[("__name__", "up"), ("n", &n.to_string())]), now);
    let series: Vec<_> = (0..120).map(one).collect();
    let mut path = "/search?match=up".to_owned();
    let mut seen = 0;
    loop {
        let (_, html) = get(&series, &path, None).await;
        assert!(html.contains("120 series"), "{html}");
        seen += html.matches("span class=\"metric\"").count();
        let Some((_, after)) = html.split_once("rel=\"next\" href=\"") else { break };
        path = format!("/{}", after.split('"').next().unwrap().replace("&amp;", "&"));
    }
    assert_eq!(seen, 120);
}

#[tokio::test]
async fn a_conflict_is_on_top_of_each_page() {
    let now = crate::api::now();
    let series = [push("gateway-1", now - 2), push("gateway-2", now - 1), push("gateway-1", now)];
    for path in ["/", "/search", "/new", "/gone"] {
        let (_, html) = get(&series, path, None).await;
        assert!(
            html.contains("1 problem") && html.contains("1 group</strong> is on several"),
            "{path}: {html}"
        );
    }
    let (_, html) = get(&series, "/conflicts", None).await;
    assert!(html.contains("gateway-1") && html.contains("gateway-2"), "{html}");
}

#[tokio::test]
async fn a_tenant_of_the_header_sees_no_other_one() {
    let now = crate::api::now();
    let series = ["", "a", "b"]
        .map(|tenant| sighting(tenant, labels(&[("__name__", "up"), ("job", &format!("of-{tenant}"))]), now));
    for path in ["/", "/search", "/new", "/search?tenant=b"] {
        let (_, html) = get(&series, path, Some("a")).await;
        assert!(
            html.contains("of-a") && !html.contains("of-b") && !html.contains("<select"),
            "{path}: {html}"
        );
    }
    let (_, html) = get(&series, "/?tenant=b", None).await;
    assert!(html.contains("of-b") && !html.contains("of-a"), "{html}");
    assert!(html.contains("<option value=\"b\" selected"), "{html}");
    assert!(html.contains("href=\"new?tenant=b\""), "links keep the tenant: {html}");
}

#[tokio::test]
async fn a_link_to_a_label_finds_its_series() {
    use super::layout::Tab;
    use super::query::PageQuery;
    let hostile = "q\"uote \\ back\nslash {}";
    for (name, value) in
        [("job", "a"), ("job", hostile), ("http.status", hostile), ("__name__", "up.b"), ("__name__", "up")]
    {
        let mut pairs = vec![(name, value), ("n", "1")];
        if name != "__name__" {
            pairs.push(("__name__", "up"));
        }
        let labels = labels(&pairs);
        let query = PageQuery::empty(Tab::Overview).of_label(name, value);
        let filter = query.filter().unwrap_or_else(|error| panic!("{}: {error}", query.selector));
        assert!(filter.selectors[0].matches(&labels), "{}", query.selector);
    }
}
