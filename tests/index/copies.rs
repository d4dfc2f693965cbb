//! An index that is down or hangs changes nothing for clients: no push and no write waits for it or is lost.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use pushring_harness::http::Response;
use pushring_harness::raw_server::serve_raw;
use pushring_harness::remote_write::{self, Series};
use pushring_harness::{Mode, Pushgateway, server};

use crate::fixture::ingress;

/// More than copies may wait in Envoy.
const REQUESTS: usize = 150;

/// Sends pushes and writes, which must all arrive, and returns the copies that Envoy dropped.
fn all_arrive(mode: Mode, index: SocketAddr) -> u64 {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&bodies);
    let target = server::serve(move |request| {
        log.lock().unwrap().push(request.body.to_vec());
        Ok(Response { status: 204, headers: Default::default(), body: Default::default() })
    });
    let fleet = ingress(mode, index, target.unwrap());
    let client = fleet.envoy.client().unwrap();
    let mut sent = Vec::new();
    for n in 0..REQUESTS {
        let answer = client.put(&format!("/metrics/job/{n}"), format!("runs {n}\n")).unwrap();
        assert_eq!(answer.status, 200, "{mode}: {}", answer.text());
        let labels = [("__name__", "up".to_owned()), ("n", n.to_string())];
        let labels = labels.map(|(name, value)| (name.to_owned(), value)).into();
        let body = remote_write::body(&[Series { labels, value: n as f64, at: 1 }]).unwrap();
        let answer = remote_write::send(&client, "/api/v1/write", body.clone()).unwrap();
        assert_eq!(answer.status, 204, "{mode}: {}", answer.text());
        sent.push(body);
    }
    assert!(*bodies.lock().unwrap() == sent, "{mode}: the writes as sent, once each");
    let held: usize =
        fleet.gateways.iter().map(|gateway: &Pushgateway| gateway.groups().unwrap().len()).sum();
    assert_eq!(held, REQUESTS, "{mode}");
    fleet.envoy.stat("cluster.metric-index.upstream_rq_pending_overflow").unwrap().unwrap_or_default()
}

#[test]
fn an_index_that_is_down_changes_nothing() {
    for mode in Mode::ROUTED {
        all_arrive(mode, SocketAddr::from(([127, 0, 0, 1], 1)));
    }
}

#[test]
fn an_index_that_hangs_changes_nothing() {
    let hangs = serve_raw(|_, _| {
        loop {
            std::thread::park();
        }
    });
    let dropped = all_arrive(Mode::Cluster, hangs.unwrap());
    assert!(dropped > 0, "more copies than may wait in Envoy");
}
