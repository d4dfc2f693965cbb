//! Answers of other servers, which end with an error at a limit of bytes, of memory or of time.
//!
//! reqwest limits the head of an answer and each pause in its body, but not the whole: a server that sends a byte a second
//! could hold a command forever, and one that never ends could fill the memory.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::StatusCode;
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, LOCATION};
use serde::de::{DeserializeOwned, DeserializeSeed};

use super::without_credentials;
use crate::memory;
use crate::parse::{self, Keeps};

/// Longest part of the body of an error that is read.
const MAX_ERROR_BYTES: u64 = 1 << 16;

/// Largest size, most memory and longest time of the body of one answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerLimits {
    pub(crate) bytes: u64,
    /// Memory for what is decoded and kept, in bytes.
    pub(crate) memory: usize,
    pub(crate) keeps: Keeps,
    /// From the request to the last byte. A read in progress may exceed it by the client's timeout.
    pub(crate) time: Duration,
}

/// Replace the limits of all answers. Only tests set them, so that they are short and do not depend on the speed of the
/// machine.
const TIME: &str = "PUSHRING_MAX_ANSWER_TIME";
const BYTES: &str = "PUSHRING_MAX_ANSWER_BYTES";
const MEMORY: &str = "PUSHRING_MAX_ANSWER_MEMORY";

/// Most memory for one answer: about 150,000 groups with one family each.
const MAX_MEMORY: usize = 384 << 20;
/// The gateways of a fleet share this, because they are read at the same time and all their groups are kept…
const FLEET_MEMORY: usize = 2 << 30;
/// … but each gets this much.
const MIN_MEMORY: usize = 128 << 20;

impl AnswerLimits {
    /// Returns the limits for each of `gateways` gateways: a minute and 1 GiB, about ten million series.
    pub(crate) fn of_gateway(gateways: usize) -> Self {
        let memory = (FLEET_MEMORY / gateways.max(1)).clamp(MIN_MEMORY, MAX_MEMORY);
        let (keeps, time) = (Keeps::Charged, Duration::from_secs(60));
        Self { bytes: 1 << 30, memory, keeps, time }.replaced()
    }

    /// Returns the limits for agents and admin interfaces: 64 MiB, a hundred times the clusters of the largest ring.
    pub(crate) fn of_agent(time: Duration) -> Self {
        Self { bytes: 1 << 26, memory: MAX_MEMORY, keeps: Keeps::All, time }.replaced()
    }

    /// Returns no limits, for an answer that continues as long as the server runs: read it by [`Answer::lines`].
    pub(crate) const fn endless() -> Self {
        Self { bytes: u64::MAX, memory: MAX_MEMORY, keeps: Keeps::Charged, time: Duration::MAX }
    }

    fn replaced(self) -> Self {
        let set = |name| std::env::var(name).ok();
        Self {
            bytes: set(BYTES).and_then(|bytes| bytes.parse().ok()).unwrap_or(self.bytes),
            memory: set(MEMORY).and_then(|bytes| bytes.parse().ok()).unwrap_or(self.memory),
            keeps: self.keeps,
            time: set(TIME).and_then(|time| humantime::parse_duration(&time).ok()).unwrap_or(self.time),
        }
    }
}

/// An answer whose body was not read yet.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response,
    began: Instant,
    limits: AnswerLimits,
    read: u64,
}

/// Sends a request. The error has no URL, which may contain a password.
pub(crate) fn send(request: RequestBuilder, limits: AnswerLimits) -> reqwest::Result<Answer> {
    let began = Instant::now();
    // The only place that may send: clippy.toml.
    #[allow(clippy::disallowed_methods)]
    let response = request.send().map_err(reqwest::Error::without_url)?;
    Ok(Answer { response, began, limits, read: 0 })
}

/// Returns the root cause of an error of [`send`]; the others only say that it failed.
pub(crate) fn cause(error: reqwest::Error) -> anyhow::Error {
    if error.is_timeout() {
        return anyhow::anyhow!("no answer in time");
    }
    anyhow::anyhow!("{}", root(&error))
}

fn root<'e>(mut error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    while let Some(deeper) = error.source() {
        error = deeper;
    }
    error
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Parses the body as a stream: it can be hundreds of megabytes.
    ///
    /// # Errors
    /// A limit was exceeded, the connection broke, or the body is not the JSON of a `T`; then with "not the response of"
    /// and `whose`.
    pub(crate) fn json<T: DeserializeOwned>(self, whose: &str) -> anyhow::Result<T> {
        self.json_seed(whose, PhantomData)
    }

    /// As [`Answer::json`], for a value that is not built from its type alone.
    pub(crate) fn json_seed<'de, S: DeserializeSeed<'de>>(
        self,
        whose: &str,
        seed: S,
    ) -> anyhow::Result<S::Value> {
        let keeps = self.limits.keeps;
        self.limit_memory();
        parse::json_stream(BufReader::with_capacity(1 << 16, self), whose, keeps, seed)
    }

    /// Lets this thread charge the limit of memory for what it decodes.
    pub(crate) fn limit_memory(&self) {
        memory::limit(self.limits.memory);
    }

    /// Reads the whole body; U+FFFD replaces bytes that are not UTF-8.
    ///
    /// # Errors
    /// A limit was exceeded, or the connection broke.
    pub(crate) fn text(mut self) -> anyhow::Result<String> {
        let mut body = Vec::new();
        // Texts are copied when they are decoded and split.
        self.limits.bytes = self.limits.bytes.min(self.limits.memory as u64 / 4);
        self.read_to_end(&mut body).context("the body of the answer")?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Reads the body line by line, for streams of JSON. A line of more than `max` bytes is an error. An error of the kind
    /// [`ErrorKind::TimedOut`] only says that nothing came in the client's timeout; the next line may still come.
    pub(crate) fn lines(self, max: u64) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        let mut reader = BufReader::new(self);
        std::iter::from_fn(move || {
            let mut line = Vec::new();
            #[allow(clippy::disallowed_methods)]
            let read = reader.by_ref().take(max.saturating_add(1)).read_until(b'\n', &mut line);
            match read {
                Ok(0) => None,
                Ok(read) if read as u64 > max => {
                    let error = format!("a line is longer than {max} bytes");
                    Some(Err(io::Error::new(ErrorKind::FileTooLarge, error)))
                }
                Ok(_) => Some(Ok(line)),
                Err(error) if line.is_empty() => Some(Err(error)),
                Err(error) => Some(Err(io::Error::other(format!("a line broke off: {error}")))),
            }
        })
    }

    /// Describes an answer without success: its status and its reason.
    pub(crate) fn failure(self) -> String {
        format!("HTTP {}: {}", self.status().as_u16(), self.reason())
    }

    /// Returns the reason of an answer without success: the first error in its body (a poisoned gateway lists all), or
    /// where it redirects to.
    pub(crate) fn reason(self) -> String {
        if let Some(location) = self.headers().get(LOCATION).filter(|_| self.status().is_redirection()) {
            let location = without_credentials(&String::from_utf8_lossy(location.as_bytes()));
            return format!("a redirect to {location}, which is not followed");
        }
        let mut body = Vec::new();
        // The status is the error; a body that breaks off is better than none.
        let _ = self.take(MAX_ERROR_BYTES).read_to_end(&mut body);
        first_error(&String::from_utf8_lossy(&body))
    }

    fn check(&self) -> io::Result<()> {
        let encoding = self.headers().get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity");
        if let Some(encoding) = encoding {
            return Err(io::Error::other(format!(
                "found content-encoding {encoding:?}, expected none; check for a proxy in between that compresses"
            )));
        }
        let AnswerLimits { bytes, time, .. } = self.limits;
        if self.read > bytes || self.response.content_length().is_some_and(|length| length > bytes) {
            let error = format!("the answer is larger than {bytes} bytes");
            return Err(io::Error::new(ErrorKind::FileTooLarge, error));
        }
        if self.began.elapsed() >= time {
            return Err(io::Error::other(format!("the answer took longer than {time:?}")));
        }
        Ok(())
    }
}

/// Returns the first line, or the first two if the first one is a heading such as "An error has occurred:".
fn first_error(body: &str) -> String {
    let mut lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    let (first, second) = (lines.next().unwrap_or_default(), lines.next());
    match second {
        Some(second) if first.ends_with(':') => format!("{first} {second}"),
        _ => first.to_owned(),
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let read = self.response.read(buffer).map_err(|error| match error.get_ref() {
            Some(inner) => {
                let timed_out = inner.downcast_ref().is_some_and(reqwest::Error::is_timeout);
                let kind = if timed_out { ErrorKind::TimedOut } else { ErrorKind::Other };
                io::Error::new(kind, format!("the answer broke off: {}", root(inner)))
            }
            None => error,
        })?;
        self.read += read as u64;
        Ok(read)
    }
}
