//! The HTTP listener, with limits for what clients may take: axum's own has none.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::prefix;

/// Longest time without a whole request, on a new connection or an idle one: more than the usual interval between scrapes.
const IDLE: Duration = Duration::from_secs(130);
/// Longest time in which a client takes nothing of an answer.
const STALLED: Duration = Duration::from_secs(30);
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 1 << 16;
/// Most connections; the next ones wait.
const MAX_CONNECTIONS: usize = 1024;
/// Longest time for answers that are not finished when a signal arrives.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be accepted, such as for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers requests, also below `path_prefix`, until SIGTERM or SIGINT, then ends the answers that have begun.
///
/// # Errors
/// Signals cannot be received.
pub(super) async fn run(listener: TcpListener, routes: Router, path_prefix: String) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let (end, ended) = watch::channel(false);
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let routes = Routes { routes, path_prefix: path_prefix.into() };
    let accepting = accept(listener, routes, free.clone(), ended);
    tokio::select! {
        () = accepting => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    end.send_replace(true);
    // All permits are back when all connections are closed.
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(LAST_ANSWERS, free.acquire_many(all)).await;
    Ok(())
}

/// The routes, without and with a prefix.
#[derive(Clone)]
struct Routes {
    routes: Router,
    path_prefix: Arc<str>,
}

impl Routes {
    fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        if !self.path_prefix.is_empty()
            && let Some(below) = prefix::without(&self.path_prefix, request.uri())
        {
            *request.uri_mut() = below;
        }
        TowerToHyperService::new(self.routes.clone()).call(request)
    }
}

async fn accept(listener: TcpListener, routes: Routes, free: Arc<Semaphore>, ended: watch::Receiver<bool>) {
    while let Ok(permit) = free.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let (routes, ended) = (routes.clone(), ended.clone());
        tokio::spawn(async move {
            serve(stream, routes, ended).await;
            drop(permit);
        });
    }
}

/// Answers the requests of one connection. Its errors are the client's.
async fn serve(stream: TcpStream, routes: Routes, mut ended: watch::Receiver<bool>) {
    // Otherwise the end of an answer waits for the client's acknowledgement of its begin.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_buf_size(MAX_HEAD)
            .serve_connection(
                TokioIo::new(Box::pin(stream)),
                service_fn(move |request| routes.answer(request))
            )
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = ended.wait_for(|ended| *ended) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
