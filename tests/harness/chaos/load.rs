//! Continuous pushes over open connections, each recorded with the gateway that answered. The load never retries: a
//! broken connection counts as an unanswered push.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::poll_until;

/// Response header with the name of the gateway: the only header of `--web.config.file` that no program here uses.
pub(super) const NAME_HEADER: &str = "content-security-policy";
/// Number of concurrent connections, so that both workers of Envoy have several.
const CONNECTIONS: usize = 16;
/// Groups of each connection. No two connections push to the same group, so its values arrive in order.
const GROUPS_EACH: usize = 4;
/// Number of groups. Group `g` has the path [`path`]`(g)`.
pub(crate) const GROUPS: usize = CONNECTIONS * GROUPS_EACH;
/// A push without an answer after this time is lost.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A push that was answered or failed.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) group: usize,
    /// Increases with each push to the group.
    pub(crate) value: u64,
    pub(crate) sent: Instant,
    pub(crate) done: Instant,
    /// The name of the gateway that answered 2xx, or the error.
    pub(crate) outcome: Result<String, String>,
}

/// The running load. Dropping it stops the load.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    paused: AtomicBool,
    under_way: AtomicUsize,
    pushes: Mutex<Vec<Push>>,
}

/// Returns the push path of a group.
pub(crate) fn path(group: usize) -> String {
    format!("/metrics/job/chaos/instance/g{group}")
}

impl Load {
    /// Starts it with a pause between the pushes of one connection.
    pub(crate) fn start(envoy: SocketAddr, pause: Duration) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let connections: Vec<_> = (0..CONNECTIONS)
                    .map(|number| tokio::spawn(keep_pushing(envoy, number, pause, Arc::clone(&own))))
                    .collect();
                for connection in connections {
                    let _ = connection.await;
                }
            });
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Waits until no push is in flight, runs `check` on all pushes that ended since the last time, and resumes.
    pub(crate) fn pause<T>(&self, check: impl FnOnce(Vec<Push>) -> Result<T>) -> Result<T> {
        ensure!(self.thread.as_ref().is_some_and(|thread| !thread.is_finished()), "the load has stopped");
        self.shared.paused.store(true, Ordering::SeqCst);
        poll_until("the pushes under way to end", || {
            (self.shared.under_way.load(Ordering::SeqCst) == 0).then_some(())
        })?;
        let result =
            check(mem::take(&mut *self.shared.pushes.lock().unwrap_or_else(PoisonError::into_inner)));
        self.shared.paused.store(false, Ordering::SeqCst);
        result
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn keep_pushing(envoy: SocketAddr, number: usize, pause: Duration, shared: Arc<Shared>) {
    let mut connection = None;
    let mut count = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        sleep(pause).await;
        // Counts first and checks second: either the caller that sets `paused` sees the count, or this task sees
        // `paused`.
        shared.under_way.fetch_add(1, Ordering::SeqCst);
        if !shared.paused.load(Ordering::SeqCst) {
            let group = number * GROUPS_EACH + count % GROUPS_EACH;
            let value = (count / GROUPS_EACH + 1) as u64;
            let sent = Instant::now();
            let answer = timeout(TIMEOUT, push(envoy, &mut connection, group, value)).await;
            let outcome = answer.context("no answer in time").flatten();
            if outcome.is_err() {
                connection = None;
            }
            let outcome = outcome.map_err(|error| format!("{error:#}"));
            let push = Push { group, value, sent, done: Instant::now(), outcome };
            shared.pushes.lock().unwrap_or_else(PoisonError::into_inner).push(push);
            count += 1;
        }
        shared.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Pushes one value and returns the name of the gateway that accepted it.
async fn push(
    envoy: SocketAddr,
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    group: usize,
    value: u64,
) -> Result<String> {
    let sender = match connection {
        Some(sender) => sender,
        None => {
            let stream = TcpStream::connect(envoy).await?;
            stream.set_nodelay(true)?;
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(driver);
            connection.insert(sender)
        }
    };
    let body = Full::new(Bytes::from(format!("chaos_value {value}\n")));
    let request = Request::put(path(group)).header("host", envoy.to_string()).body(body)?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    if !head.status.is_success() {
        bail!("{}: {}", head.status, String::from_utf8_lossy(&body).trim());
    }
    let name = head.headers.get(NAME_HEADER).context("2xx, but not from a gateway")?;
    Ok(name.to_str()?.to_owned())
}
