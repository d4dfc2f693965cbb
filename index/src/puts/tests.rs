//! The queue and the task that sends, with a target that answers as each test demands.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use pushring_index::body::Encoding;
use pushring_index::convert::MAX_PUTS;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;
use crate::server;

/// A target that keeps the metrics of each request that it accepts.
#[derive(Clone, Default)]
struct Target {
    accepted: Arc<Mutex<Vec<Vec<String>>>>,
    /// Answers of the next requests, the last one first.
    next: Arc<Mutex<Vec<StatusCode>>>,
}

impl Target {
    async fn start(&self) -> SocketAddr {
        let target = self.clone();
        let take = async move |body: Bytes| {
            let puts: Vec<Value> = serde_json::from_slice(&body).unwrap();
            let metrics: Vec<String> =
                puts.iter().map(|put| put["metric"].as_str().unwrap().into()).collect();
            let is_bad = metrics.iter().any(|metric| metric == "bad");
            let status = target.next.lock().unwrap().pop();
            let status =
                status.unwrap_or(if is_bad { StatusCode::BAD_REQUEST } else { StatusCode::NO_CONTENT });
            if status.is_success() {
                target.accepted.lock().unwrap().push(metrics);
            }
            status
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(server::run(
            listener,
            Router::new().route("/api/put", post(take)),
            std::future::pending(),
        ));
        address
    }

    fn accepted(&self) -> Vec<Vec<String>> {
        self.accepted.lock().unwrap().clone()
    }
}

fn queue(target: SocketAddr, timeout: u64) -> Puts {
    queue_at(&format!("http://{target}/api/put"), timeout)
}

fn queue_at(url: &str, timeout: u64) -> Puts {
    let text = format!("remote: {{send: {{url: '{url}', timeout: {timeout}, convert: true}}}}");
    Puts::start(&config::Config::parse(&text).unwrap().remote.send.unwrap()).unwrap()
}

fn put(metric: &str) -> Put {
    Put { metric: metric.into(), timestamp: 1, value: 1.0, tags: Default::default() }
}

#[tokio::test]
async fn puts_arrive_in_their_order_in_arrays_of_at_most_a_thousand() {
    let target = Target::default();
    // The first attempts fail.
    target.next.lock().unwrap().extend([StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY]);
    let puts = queue(target.start().await, 60);
    let all: Vec<String> = (0..2_600).map(|number| number.to_string()).collect();
    let made = |part: &[String]| part.iter().map(|metric| put(metric)).collect::<Vec<_>>();
    assert!(puts.offer(made(&all[..100])) && puts.offer(made(&all[100..200])));
    assert_eq!(puts.send(made(&all[200..])).await, Ok(()));
    let accepted = target.accepted();
    assert_eq!(accepted.concat(), all);
    assert!(accepted.iter().all(|array| array.len() <= MAX_PUTS));
    assert_eq!(puts.state.waiting(), 0);
    assert_eq!(puts.room.available_permits(), ROOM);
}

#[tokio::test]
async fn a_rejected_put_takes_none_of_another_request_with_it() {
    let target = Target::default();
    let puts = queue(target.start().await, 60);
    let (one, bad, two) =
        tokio::join!(puts.send(vec![put("one")]), puts.send(vec![put("bad")]), puts.send(vec![put("two")]));
    assert_eq!((one, two), (Ok(()), Ok(())));
    assert!(matches!(&bad, Err(Refusal::Rejected(text)) if text.contains("400")), "{bad:?}");
    assert_eq!(target.accepted().concat(), ["one", "two"]);
}

#[tokio::test]
async fn a_target_that_is_away_takes_bounded_memory() {
    // A port that is closed.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let puts = queue(address, 1);
    let found = puts.send(vec![put("sent")]).await;
    assert!(matches!(&found, Err(Refusal::Away(text)) if text.contains("does not accept puts")), "{found:?}");
    let large = put(&"x".repeat(ROOM / 2));
    assert!(puts.offer(vec![large.clone()]), "converted ones are kept");
    assert!(!puts.offer(vec![large.clone()]), "there is no room for more");
    let found = puts.send(vec![large]).await;
    assert!(matches!(&found, Err(Refusal::Away(text)) if text.contains("too many puts")), "{found:?}");
}

#[tokio::test]
async fn puts_whose_sender_repeats_them_are_given_up() {
    let target = Target::default();
    target.next.lock().unwrap().extend([StatusCode::SERVICE_UNAVAILABLE; 100]);
    let puts = queue(target.start().await, 1);
    assert!(matches!(puts.send(vec![put("a")]).await, Err(Refusal::Away(_))));
    target.next.lock().unwrap().clear();
    assert_eq!(puts.send(vec![put("b")]).await, Ok(()));
    assert_eq!(target.accepted().concat(), ["b"]);
}

#[tokio::test]
async fn a_redirect_is_no_success() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new()
        .route("/api/put", post(async || (StatusCode::FOUND, [("location", "/other")])))
        .route("/other", axum::routing::get(async || StatusCode::NO_CONTENT));
    tokio::spawn(server::run(listener, routes, std::future::pending()));
    let found = queue(address, 1).send(vec![put("a")]).await;
    assert!(matches!(&found, Err(Refusal::Away(text)) if text.contains("302")), "{found:?}");
}

#[tokio::test]
async fn no_error_shows_the_password_of_the_target() {
    // No server listens on port 1.
    let found = queue_at("http://user:secret@127.0.0.1:1/api/put?token=hidden", 1).send(vec![put("a")]).await;
    let Err(Refusal::Away(text)) = found else { panic!("{found:?}") };
    assert!(text.contains("refused") && !text.contains("secret") && !text.contains("hidden"), "{text}");
}

/// A field of protobuf.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    assert!(length < 1 << 14);
    [&[number << 3 | 2, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8][..], bytes].concat()
}

#[tokio::test]
async fn the_samples_of_good_series_become_puts_to_the_last_one() {
    let target = Target::default();
    let puts = queue(target.start().await, 60);
    let label =
        |name: &str, value: &str| field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat());
    let sample = |value: f64| field(2, &[&[9][..], &value.to_le_bytes(), &[16, 5]].concat());
    let series = |name: &str, values: &[Vec<u8>]| {
        field(1, &[vec![label("__name__", name)], values.to_vec()].concat().concat())
    };
    // A native histogram with three observations and no bucket.
    let wrong = field(4, &[8, 3]);
    let mut body = [
        series("not_finite", &[sample(f64::NAN)]),
        series("wrong_histogram", &[sample(1.0), wrong]),
        field(1, &label("job", "nameless")),
    ]
    .concat();
    let all: Vec<String> = (0..1_500).map(|number| format!("m{number}")).collect();
    all.iter().for_each(|name| body.extend(series(name, &[sample(1.0), sample(2.0)])));
    let body = snap::raw::Encoder::new().compress_vec(&body).unwrap();
    puts.convert(false, Encoding::Snappy, &body, &config::Limits::default());
    puts.end().await;
    let twice: Vec<String> = all.iter().flat_map(|name| [name.clone(), name.clone()]).collect();
    assert_eq!(target.accepted().concat(), twice);
    assert!(target.accepted().iter().all(|array| array.len() <= MAX_PUTS));
}
