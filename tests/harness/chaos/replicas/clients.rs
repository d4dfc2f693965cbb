//! The clients that push all the time: our own, which name the gateway that answered, and client_golang.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use serde_json::json;

use super::book::{Answer, Book, Method};
use super::groups::{self, CLIENTS, GO_SERIES, JOB, Kind, PARTS, SERIES};
use crate::chaos::{gateways, load};
use crate::http::Client;
use crate::{process, tools};

/// Longest pause between two pushes of a client, in milliseconds.
const PAUSE: u64 = 80;
/// Longest time for which a deleted group stays deleted, in milliseconds.
const REST: u64 = 20_000;
/// Pause of client_golang, which is a new process for each push.
const GO_PAUSE: Duration = Duration::from_millis(500);

/// The clients. Dropping it stops them.
#[derive(Debug)]
pub(super) struct Clients {
    book: Arc<Mutex<Book>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

pub(super) fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clients {
    /// Pushes the groups that are pushed once and starts the clients.
    ///
    /// # Errors
    /// If a group that is pushed once is rejected.
    pub(super) fn start(envoy: SocketAddr, book: Arc<Mutex<Book>>, seed: u64) -> Result<Self> {
        let mut random = Rng::with_seed(seed);
        let first = Client::new(envoy)?;
        for group in groups::once() {
            // The group is whole after the second push only.
            for (method, parts) in [(Method::Put, &[0, 1][..]), (Method::Post, &[2, 3])] {
                let accepted = push(&first, &book, group, method, parts, 1, &mut random);
                ensure!(accepted, "the first push to g{group} was rejected");
            }
        }
        let mut started = Self { book, stop: Arc::default(), threads: Vec::new() };
        for client in 0..CLIENTS {
            let random = random.fork();
            started.run(move |book, stop| keep_pushing(envoy, client, random, book, stop));
        }
        started.run(move |book, stop| keep_running_go(envoy, random, book, stop));
        Ok(started)
    }

    fn run(&mut self, client: impl FnOnce(&Mutex<Book>, &AtomicBool) + Send + 'static) {
        let (book, stop) = (Arc::clone(&self.book), Arc::clone(&self.stop));
        self.threads.push(thread::spawn(move || client(&book, &stop)));
    }

    /// Returns an error if a client has ended.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.threads.iter().all(|thread| !thread.is_finished()), "a client has ended");
        Ok(())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn keep_pushing(envoy: SocketAddr, client: usize, mut random: Rng, book: &Mutex<Book>, stop: &AtomicBool) {
    let Ok(http) = Client::new(envoy) else { return };
    let own = groups::of_client(client);
    // The time until which a group is left alone, and its last value.
    let mut state = vec![(Instant::now(), 0); own.len()];
    while !stop.load(Ordering::SeqCst) {
        // A job often pushes several times at once, for example at its end.
        let pause = if random.u8(..5) == 0 { 0 } else { random.u64(..PAUSE) };
        thread::sleep(Duration::from_millis(pause));
        let index = random.usize(..own.len());
        let (rest, value) = &mut state[index];
        if *rest > Instant::now() {
            continue;
        }
        let group = own.start + index;
        let (method, parts) = choose(groups::kind(group), &mut random);
        *value += 1;
        push(&http, book, group, method, &parts, *value, &mut random);
        if method == Method::Delete {
            *rest = Instant::now() + Duration::from_millis(random.u64(..REST));
        }
    }
}

/// Chooses the next push to a group.
fn choose(kind: Kind, random: &mut Rng) -> (Method, Vec<usize>) {
    let mut parts: Vec<usize> = (0..PARTS).collect();
    random.shuffle(&mut parts);
    let some = |parts: &mut Vec<usize>, most: usize, random: &mut Rng| {
        parts.truncate(1 + random.usize(..most));
        std::mem::take(parts)
    };
    match (kind, random.u8(..10)) {
        (Kind::Put, _) | (Kind::Mixed, 0..3) => (Method::Put, some(&mut parts, PARTS, random)),
        (Kind::Post, _) | (Kind::Mixed, 3..8) => (Method::Post, some(&mut parts, 2, random)),
        (Kind::Mixed, _) => (Method::Delete, Vec::new()),
    }
}

/// Sends one push and records it. Returns whether it was accepted.
fn push(
    http: &Client,
    book: &Mutex<Book>,
    group: usize,
    method: Method,
    parts: &[usize],
    value: u64,
    random: &mut Rng,
) -> bool {
    let path = groups::path(group, random);
    lock(book).send(group, method, groups::values(parts, value), Instant::now());
    let sent = match method {
        Method::Put => http.put(&path, groups::body(parts, value)),
        Method::Post => http.post(&path, groups::body(parts, value)),
        Method::Delete => http.delete(&path),
    };
    let done = Instant::now();
    let answer = match sent {
        Ok(answer) if (200..300).contains(&answer.status) => {
            Answer::Accepted(answer.header(load::NAME_HEADER).and_then(gateways::index))
        }
        Ok(answer) => Answer::Failed(format!("{} {}", answer.status, answer.text().trim())),
        Err(error) => Answer::Failed(format!("{error:#}")),
    };
    let accepted = matches!(answer, Answer::Accepted(_));
    lock(book).answer(group, answer, done);
    accepted
}

fn keep_running_go(envoy: SocketAddr, mut random: Rng, book: &Mutex<Book>, stop: &AtomicBool) {
    let groups: Vec<usize> = groups::of_client_golang().collect();
    while !stop.load(Ordering::SeqCst) {
        let group = groups[random.usize(..groups.len())];
        let series = random.usize(GO_SERIES..SERIES.len());
        lock(book).send(group, Method::Post, vec![(series, 1)], Instant::now());
        let answer = match run_go(envoy, group, SERIES[series]) {
            Ok(()) => Answer::Accepted(None),
            Err(error) => Answer::Failed(format!("{error:#}")),
        };
        lock(book).answer(group, answer, Instant::now());
        thread::sleep(GO_PAUSE);
    }
}

/// Pushes one metric with the value 1 by client_golang's `Add`, which is a POST of protobuf.
fn run_go(envoy: SocketAddr, group: usize, metric: &str) -> Result<()> {
    let mut command = process::command(&tools::find("push-go")?);
    command.arg(format!("http://{envoy}")).arg(metric);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let groups = json!([{"job": JOB, "labels": groups::labels(group)}]).to_string();
    child.stdin.take().context("no standard input")?.write_all(groups.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "push-go: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
