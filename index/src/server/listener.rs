//! The HTTP listener, with limits for what clients may take: axum's own has none.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Longest time without a whole head of a request, on a new connection or an idle one.
const IDLE: Duration = Duration::from_secs(130);
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 1 << 16;
/// Most connections; the next ones wait.
const MAX_CONNECTIONS: usize = 4096;
/// Longest time for requests that are not finished when the end begins.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be accepted, such as for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The address of the client, an extension of each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Answers requests with HTTP/1.1 and HTTP/2 until `end` is complete, then ends the answers that have begun.
pub(crate) async fn run(listener: TcpListener, routes: Router, end: impl Future<Output = ()>) {
    let (ending, ended) = watch::channel(false);
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tokio::select! {
        () = accept(listener, routes, free.clone(), ended) => {}
        () = end => {}
    }
    ending.send_replace(true);
    // All permits are back when all connections are closed.
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(LAST_ANSWERS, free.acquire_many(all)).await;
}

async fn accept(listener: TcpListener, routes: Router, free: Arc<Semaphore>, ended: watch::Receiver<bool>) {
    while let Ok(permit) = free.clone().acquire_owned().await {
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let (routes, ended) = (routes.clone(), ended.clone());
        tokio::spawn(async move {
            serve(stream, peer, routes, ended).await;
            drop(permit);
        });
    }
}

/// Answers the requests of one connection. Its errors are the client's.
async fn serve(stream: TcpStream, peer: SocketAddr, routes: Router, mut ended: watch::Receiver<bool>) {
    // Otherwise the end of an answer waits for the client's acknowledgement of its begin.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        TowerToHyperService::new(routes.clone()).call(request)
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(MAX_HEAD);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(IDLE);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), answer));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = ended.wait_for(|ended| *ended) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
