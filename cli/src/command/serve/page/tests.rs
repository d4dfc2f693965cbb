//! A made-up fleet, and the pages that it gives.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use prost::Message;
use prost::bytes::Bytes;
use pushring_router::Router;

use super::*;
use crate::command::serve::metric::{Label, Metric, Value};
use crate::command::serve::view::{
    Conflict, CopyView, FamilyView, FleetView, GatewayState, GatewayView, GroupView, Source,
};
use crate::fleet::source::Fleet;
use crate::fleet::survey::locate;
use crate::gateway::api::Labels;
use crate::reason::Code;

const HOSTILE: [&str; 8] = [
    "</h3><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "\u{202e}gnp.exe\u{2066}",
    "line\nbreak\r\0\u{1b}[31m",
    "{{7*7}} ${x} <!-- ]]> &lt;",
    "\u{200b}\u{feff}\u{e0041}",
    "zal\u{301}\u{302}\u{303}go",
];

fn now() -> Timestamp {
    "2026-11-26T16:20:00Z".parse().unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A fleet of three gateways without groups.
fn fleet() -> FleetView {
    let members: Vec<_> =
        (0..3).map(|n| format!(r#"{{"name":"g{n}","address":"10.0.0.{n}:9091"}}"#)).collect();
    let config = format!(r#"{{"members":[{}],"mirror_deletes":true}}"#, members.join(","));
    let router = Router::parse(config.as_bytes()).unwrap();
    let gateway = |n: usize| GatewayView {
        name: format!("g{n}"),
        address: format!("10.0.0.{n}:9091"),
        on_ring: true,
        state: GatewayState::Up,
        started: Some(now() - SignedDuration::from_hours(100)),
        groups: 0,
        took: Duration::from_millis(3),
    };
    FleetView {
        fleet: Arc::new(Fleet {
            router,
            registered: Vec::new(),
            schemes: Default::default(),
            skipped: Vec::new(),
            changed: None,
        }),
        fleet_error: None,
        read_at: now(),
        took: Duration::from_millis(12),
        gateways: (0..3).map(gateway).collect(),
        groups: Vec::new(),
        conflicts: Vec::new(),
    }
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Bytes {
    let label =
        |(name, value): &(&str, &str)| Label::new(name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let labels = labels.iter().map(label).collect();
    let metric = Metric { labels, gauge: Some(Value { value: Some(value) }), ..Metric::default() };
    metric.encode_to_vec().into()
}

/// Adds a group with one gauge, pushed a number of seconds ago.
fn add<'v>(view: &'v mut FleetView, pairs: &[(&str, &str)], age: i64) -> &'v mut GroupView {
    let labels = labels(pairs);
    let location = locate(&view.fleet.router, &labels);
    let owner = location.as_ref().map(|location| location.owner);
    let on = owner.unwrap_or_default();
    let pushed = now() - SignedDuration::from_secs(age);
    let family = FamilyView {
        name: "backup_bytes".into(),
        kind: "GAUGE",
        help: Some("Size of the <last> backup.".into()),
        time_stamp: pushed,
        on,
        source: owner.map_or(Source::Unknown, |_| Source::Owner),
        metrics: vec![gauge(pairs, 1.5)],
        json: None,
        listed_help: None,
        conflicts: false,
    };
    view.gateways[on].groups += 1;
    view.groups.push(GroupView {
        labels,
        path: location.map(|location| location.path),
        owner,
        replica: None,
        copies: vec![CopyView { on, pushed: Some(pushed), shown: true }],
        families: vec![family],
        pushed: Some(pushed),
        rejected: None,
        doubt: None,
    });
    view.groups.last_mut().unwrap()
}

fn page(view: &FleetView, query: &str) -> String {
    layout::document(view, Tab::Groups, &groups::page(view, &PageQuery::parse(query), "http://envoy:9091"))
}

/// Returns the number of groups in the list.
fn listed(page: &str) -> usize {
    page.matches("<li data-path=").count()
}

#[test]
fn text_of_others_is_never_markup() {
    let mut view = fleet();
    for text in HOSTILE {
        let group = add(&mut view, &[("job", text), ("instance", text)], 60);
        let family = &mut group.families[0];
        (family.name, family.help) = (text.into(), Some(text.into()));
        family.metrics = vec![gauge(&[(text, text)], 1.0)];
        view.gateways[0].name = text.to_owned();
        view.gateways[1].state = GatewayState::Poisoned(text.to_owned());
        view.gateways[2].state = GatewayState::Down(text.to_owned());
        view.fleet_error = Some(text.to_owned());
        let reason = Code::TypeConflict.because(text);
        view.conflicts.push(Conflict { family: text.to_owned(), reason, groups: vec![0], left_out: 1 });
    }
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("q", HOSTILE[1]).finish();
    let facts = [("Flags", vec![(HOSTILE[0].to_owned(), HOSTILE[1].to_owned())])];
    for page in [
        page(&view, ""),
        page(&view, &query),
        layout::document(&view, Tab::Status, &status::page(&view, &facts)),
    ] {
        assert_eq!(page.matches("<script").count(), 1, "only our own");
        for (found, _) in page.match_indices("<img ") {
            assert!(
                page[found..].starts_with("<img src=\"static/")
                    || page[found..].starts_with("<img class=\"ring\"")
            );
        }
        assert!(
            !page.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\0', '\u{1b}', '\r']),
            "not shown visibly"
        );
    }
    let page = page(&view, "");
    assert!(page.contains("<span class=\"escape\">\\u{202e}</span>gnp.exe"), "{page}");
    assert_eq!(listed(&page), HOSTILE.len());
}

#[test]
fn pages_through_the_groups_that_match() {
    let mut view = fleet();
    for n in 0..120 {
        add(&mut view, &[("job", if n % 2 == 0 { "even" } else { "odd" }), ("n", &n.to_string())], n);
    }
    let page_of = |query: &str| page(&view, query);
    for (query, groups, found) in [
        ("", 50, "1–50 of 120 groups"),
        ("page=3", 20, "101–120 of 120 groups"),
        ("page=9&size=100", 20, "101–120 of 120 groups"),
        ("q=job%3Deven", 50, "1–50 of 60 groups"),
        ("q=job%3Deven&page=2", 10, "51–60 of 60 groups"),
        ("q=n%3D7", 1, ">1 group<"),
        ("q=%22n=7%22+x", 0, "No group matches"),
        ("state=stale", 0, "No group matches"),
        ("gateway=nowhere", 0, "No group matches"),
    ] {
        let page = page_of(query);
        assert_eq!(listed(&page), groups, "{query}");
        assert!(page.contains(found), "{query}: {page}");
    }
    let of_gateways: usize = (0..3).map(|n| listed(&page_of(&format!("gateway=g{n}&size=200")))).sum();
    assert_eq!(of_gateways, 120);
    assert!(page_of("q=job%3Deven&page=2").contains("href=\"./?q=job%3Deven\">Previous</a>"));
}

#[test]
fn each_state_is_shown_and_selects_its_groups() {
    let mut view = fleet();
    add(&mut view, &[("job", "good")], 60);
    add(&mut view, &[("job", "old")], 100_000);
    add(&mut view, &[("job", "repaired")], 60).families[0].source = Source::Replica;
    add(&mut view, &[("job", "moved")], 60).families[0].source = Source::Former;
    add(&mut view, &[("job", "deleted")], 60).families.clear();
    add(&mut view, &[("job", "odd")], 60).doubt = Some(Code::NotUtf8.because("not UTF-8"));
    add(&mut view, &[("job", "clash")], 60).families[0].conflicts = true;
    add(&mut view, &[("job", "refused")], 60).rejected = Some(now());
    let stub = add(&mut view, &[("job", "stub")], 60);
    (stub.pushed, stub.rejected, stub.families[0].name) = (None, Some(now()), "push_time_seconds".into());
    for (state, jobs) in [
        ("in-place", &["clash", "good", "old", "refused", "stub"] as &[_]),
        ("stale", &["old"]),
        ("replica", &["repaired"]),
        ("left-behind", &["moved"]),
        ("deleted", &["deleted"]),
        ("unknown", &["odd"]),
        ("conflict", &["clash"]),
        ("rejected", &["refused", "stub"]),
        ("stub", &["stub"]),
    ] {
        let query = PageQuery::parse(&format!("state={state}"));
        let selection = select::Selection::new(&view, &query);
        let found: Vec<_> = selection.groups.iter().map(|group| group.labels["job"].as_str()).collect();
        assert_eq!(found, jobs, "{state}");
    }
    let page = page(&view, "");
    assert_eq!(listed(&page), 8, "a deleted group is not one of the fleet");
    for text in ["lacks 1 group that it owns", "1 group</strong> left-behind", "1 group</strong> stale"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[test]
fn a_fleet_without_problems_shows_none() {
    let mut view = fleet();
    add(&mut view, &[("job", "good")], 60);
    assert!(!page(&view, "").contains("problem"));
    view.gateways[0].state = GatewayState::Down("connection refused".to_owned());
    assert!(page(&view, "").contains("1 problem"));
}

#[test]
fn many_metrics_are_shown_on_a_page_of_their_own() {
    let mut view = fleet();
    let group = add(&mut view, &[("job", "large")], 60);
    group.families[0].metrics = vec![gauge(&[("a", "b")], 1.0); 30_000];
    let path = group.path.clone().unwrap();
    let list = page(&view, "");
    assert!(list.contains("28000 more not shown") && list.contains("show this group alone"));
    let href = PageQuery::of_group(&path).href();
    assert!(list.contains(&format!("href=\"{href}\"")), "{href}");
    let alone = page(&view, href.strip_prefix("./?").unwrap());
    assert!(alone.contains("10000 more not shown") && !alone.contains("show this group alone"));
}

#[test]
fn a_command_deletes_the_group() {
    let mut view = fleet();
    add(&mut view, &[("job", "it's")], 60);
    assert!(page(&view, "").contains("curl -fgsS -X DELETE 'http://envoy:9091/metrics/job@base64/aXQncw'"));
    let mut headers = HeaderMap::new();
    assert_eq!(origin(&headers), "http://ENVOY:9091");
    headers.insert("host", "[::1]:9091".parse().unwrap());
    headers.insert("x-forwarded-proto", "https".parse().unwrap());
    assert_eq!(origin(&headers), "https://[::1]:9091");
    headers.insert("host", "a'; rm -rf /".parse().unwrap());
    assert_eq!(origin(&headers), "https://ENVOY:9091");
}

#[test]
fn nothing_but_our_own_files_is_loaded() {
    let view = fleet();
    let answer = groups(&view, "", &HeaderMap::new());
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
    for name in ["page.css", "page.js", "icon.svg", "ring.svg"] {
        let answer = asset(&view.fleet.router, name).unwrap();
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{name}");
    }
    assert!(asset(&view.fleet.router, "../page.css").is_none());
}
