//! Continuous pushes over kept connections, each recorded with the gateway that answered it. Nothing is retried: a
//! connection that breaks is a push that was not answered.

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

use super::gateways::NAME_HEADER;
use crate::poll_until;

/// Connections that push at the same time; enough for both workers of Envoy to have several.
const CONNECTIONS: usize = 16;
/// Groups of each connection: no group is pushed to by two at once, so its values arrive in order.
const GROUPS_EACH: usize = 4;
/// How many groups there are. Group `g` is at [`path`]`(g)`.
pub(super) const GROUPS: usize = CONNECTIONS * GROUPS_EACH;
/// Between the pushes of one connection: some thousand pushes a second in all, so that two cores have room for the servers
/// whose reaction is measured.
const PAUSE: Duration = Duration::from_millis(1);
/// A push that has not been answered by then is lost.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One push that ended, either way.
#[derive(Debug)]
pub(super) struct Push {
    pub(super) group: usize,
    /// Grows with each push to the group.
    pub(super) value: u64,
    pub(super) sent: Instant,
    pub(super) done: Instant,
    /// The name of the gateway that answered 2xx, or what came instead.
    pub(super) outcome: Result<String, String>,
}

/// The running load; stops when dropped.
#[derive(Debug)]
pub(super) struct Load {
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

/// The push path of a group.
pub(super) fn path(group: usize) -> String {
    format!("/metrics/job/chaos/instance/g{group}")
}

impl Load {
    pub(super) fn start(envoy: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let connections: Vec<_> = (0..CONNECTIONS)
                    .map(|number| tokio::spawn(keep_pushing(envoy, number, Arc::clone(&own))))
                    .collect();
                for connection in connections {
                    let _ = connection.await;
                }
            });
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Lets all pushes that are under way end, runs `check` on all that ended since the last time, and goes on.
    pub(super) fn pause<T>(&self, check: impl FnOnce(Vec<Push>) -> Result<T>) -> Result<T> {
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

async fn keep_pushing(envoy: SocketAddr, number: usize, shared: Arc<Shared>) {
    let mut connection = None;
    let mut count = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        sleep(PAUSE).await;
        // Counted first and looked at second: whoever sets `paused` sees the count, or this sees `paused`.
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

/// Pushes one value, and gives the name of the gateway that took it.
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
