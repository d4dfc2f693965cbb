//! The task that sends: one request at a time, so that the order stays.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use hyper::StatusCode;
use metrics::{counter, gauge, histogram};
use pushring_index::convert::{MAX_PUTS, Put, put_bodies};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{Job, Refusal};
use crate::config;

/// Longest pause after a request that failed.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Bytes of an answer that people see.
const SHOWN: usize = 500;

/// The state that requests see.
#[derive(Debug, Default)]
pub(super) struct State {
    waiting: AtomicUsize,
    /// The reason why the target does not accept puts now.
    away: Mutex<Option<String>>,
    has_rejected: AtomicBool,
}

impl State {
    pub(super) fn add(&self, puts: usize) {
        gauge!("metric_index_puts_waiting")
            .set((self.waiting.fetch_add(puts, Ordering::Relaxed) + puts) as f64);
    }

    fn remove(&self, puts: usize) {
        gauge!("metric_index_puts_waiting")
            .set((self.waiting.fetch_sub(puts, Ordering::Relaxed) - puts) as f64);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns the text for a sender whose puts were not accepted in time.
    pub(super) fn reason(&self) -> String {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.clone().unwrap_or_else(|| "the target is slow; try again".to_owned())
    }

    fn failed(&self, reason: &str) {
        counter!("metric_index_failures_total", "server" => "opentsdb").increment(1);
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if away.is_none() {
            warn!(reason, "the target of remote.send does not accept puts; trying again");
        }
        *away = Some(format!("the target does not accept puts: {reason}"));
    }

    fn accepted(&self) {
        if self.away.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            info!("the target of remote.send accepts puts again");
        }
    }

    fn rejected(&self, puts: usize, reason: &str) {
        counter!("metric_index_puts_dropped_total", "reason" => "rejected").increment(puts as u64);
        if !self.has_rejected.swap(true, Ordering::Relaxed) {
            warn!(
                puts,
                reason, "the target of remote.send rejected puts; further rejections are only counted"
            );
        }
    }
}

/// The result of a request.
enum Answer {
    Accepted,
    Rejected(String),
    Away(String),
}

pub(super) struct Worker {
    client: Client,
    url: Url,
    state: Arc<State>,
}

impl Worker {
    pub(super) fn new(settings: &config::Send, state: Arc<State>) -> anyhow::Result<Self> {
        // An error means that the process has one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would turn the request into a GET without a body, whose answer would count as a success.
        let client =
            Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(settings.timeout));
        let client = client.build().context("the client of remote.send")?;
        Ok(Self { client, url: Url::parse(&settings.url).context("remote.send.url")?, state })
    }

    /// Sends jobs in their order, until there are no more senders.
    pub(super) async fn run(self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let mut next: Option<Job> = None;
        loop {
            let first = match next.take() {
                Some(job) => job,
                None => match jobs.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            let mut puts = first.puts.len();
            let mut batch = VecDeque::from([first]);
            // Small requests go together.
            while let Ok(job) = jobs.try_recv() {
                puts += job.puts.len();
                if puts > MAX_PUTS {
                    next = Some(job);
                    break;
                }
                batch.push_back(job);
            }
            self.deliver(batch).await;
        }
    }

    async fn deliver(&self, mut jobs: VecDeque<Job>) {
        if jobs.len() > 1 {
            let puts: Vec<Put> = jobs.iter().flat_map(|job| job.puts.iter().cloned()).collect();
            let answer = self.post(&puts, &jobs).await;
            if !matches!(answer, Answer::Rejected(_)) {
                jobs.into_iter().for_each(|job| self.answer(job, Ok(())));
                return;
            }
            // One of them is at fault: each on its own.
        }
        while let Some(job) = jobs.pop_front() {
            let jobs = VecDeque::from([job]);
            let mut result = Ok(());
            for puts in jobs.iter().flat_map(|job| job.puts.chunks(MAX_PUTS)) {
                if let Answer::Rejected(reason) = self.post(puts, &jobs).await {
                    self.state.rejected(puts.len(), &reason);
                    result = Err(Refusal::Rejected(format!("the target rejected puts: {reason}")));
                }
            }
            jobs.into_iter().for_each(|job| self.answer(job, result.clone()));
        }
    }

    fn answer(&self, job: Job, result: Result<(), Refusal>) {
        self.state.remove(job.puts.len());
        if let Some(answer) = job.answer {
            // The request may have ended.
            let _ = answer.send(result);
        }
    }

    /// Sends an array until the target has answered, or no request waits for it any more.
    async fn post(&self, puts: &[Put], jobs: &VecDeque<Job>) -> Answer {
        let mut pause = Duration::from_millis(100);
        for body in put_bodies(puts) {
            loop {
                if jobs.iter().all(Job::is_abandoned) {
                    return Answer::Away(String::new());
                }
                match self.request(body.clone()).await {
                    Answer::Accepted => {
                        self.state.accepted();
                        counter!("metric_index_puts_sent_total").increment(puts.len() as u64);
                        break;
                    }
                    Answer::Rejected(reason) => {
                        self.state.accepted();
                        return Answer::Rejected(reason);
                    }
                    Answer::Away(reason) => self.state.failed(&reason),
                }
                sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
        Answer::Accepted
    }

    async fn request(&self, body: Vec<u8>) -> Answer {
        let began = Instant::now();
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let response = request.send().await;
        histogram!("metric_index_put_seconds").record(began.elapsed());
        let response = match response {
            Ok(response) => response,
            // Its text has the URL, which may have a password.
            Err(error) => return Answer::Away(failure(&error.without_url())),
        };
        let status = response.status();
        if status.is_success() {
            return Answer::Accepted;
        }
        let text = response.text().await.unwrap_or_default();
        let shown: String = text.trim().chars().take(SHOWN).collect();
        let reason = format!("status {}: {shown}", status.as_u16());
        let is_final = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        if is_final { Answer::Rejected(reason) } else { Answer::Away(reason) }
    }
}

/// Returns an error with its causes.
fn failure(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
