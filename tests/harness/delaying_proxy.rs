//! A proxy in front of a Pushgateway for what a test cannot arrange otherwise: a clock that is minutes off, old pushes,
//! and an event between two particular requests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, HOST, HeaderValue, TRANSFER_ENCODING};
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::http::{Client, Response};
use crate::server::{Request, serve};

/// Forwards to one server until the program ends.
#[derive(Clone, Debug)]
pub struct DelayingProxy {
    /// Where it listens.
    pub address: SocketAddr,
    shift: Arc<Mutex<Shift>>,
}

/// Changes to the times in a gateway's answers, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shift {
    /// Added to the gateway's clock: to dates and to time stamps.
    pub clock: i64,
    /// Added to the age of all groups.
    pub age: i64,
    /// Added to the age of the family with this name.
    pub family_age: Option<(&'static str, i64)>,
}

impl Shift {
    /// Shows all groups as pushed this many seconds earlier.
    #[must_use]
    pub const fn age(age: i64) -> Self {
        Self { clock: 0, age, family_age: None }
    }

    /// Shows the gateway's clock this many seconds ahead.
    #[must_use]
    pub const fn clock(clock: i64) -> Self {
        Self { clock, age: 0, family_age: None }
    }
}

impl DelayingProxy {
    /// Starts a proxy in front of `server`. It calls `before` with each request before it forwards it.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(
        server: SocketAddr,
        shift: Shift,
        before: impl Fn(&Request) + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::start_with(server, shift, before, |_| ())
    }

    /// Starts a proxy that also calls `after` with each request that the server has answered, before it passes the answer
    /// on.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start_with(
        server: SocketAddr,
        shift: Shift,
        before: impl Fn(&Request) + Send + Sync + 'static,
        after: impl Fn(&Request) + Send + Sync + 'static,
    ) -> Result<Self> {
        let shift = Arc::new(Mutex::new(shift));
        let current = Arc::clone(&shift);
        let address = serve(move |request| {
            before(request);
            let answer = forward(server, request)?;
            after(request);
            let shift = *current.lock().unwrap_or_else(PoisonError::into_inner);
            shift.apply(answer)
        })?;
        Ok(Self { address, shift })
    }

    /// Applies another shift from the next answer on.
    pub fn set(&self, shift: Shift) {
        *self.shift.lock().unwrap_or_else(PoisonError::into_inner) = shift;
    }
}

/// Uses a new connection for each request, because the server may have been restarted since the last one.
fn forward(server: SocketAddr, request: &Request) -> Result<Response> {
    let headers = request.headers.iter().filter(|(name, _)| **name != HOST && **name != CONTENT_LENGTH);
    let headers = headers.map(|(name, value)| Ok((name.as_str(), value.to_str()?)));
    let headers = headers.collect::<Result<Vec<_>>>()?;
    Client::new(server)?.send(&request.method, &request.path, &headers, request.body.clone())
}

impl Shift {
    fn apply(self, mut answer: Response) -> Result<Response> {
        if answer.header("content-type") == Some("application/json") {
            answer.body = self.shift_stamps(answer.json()?).to_string().into();
        }
        if let Some(date) = answer.header("date") {
            let date = HeaderValue::from_str(&self.shift_date(date)?)?;
            answer.headers.insert(DATE, date);
        }
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            answer.headers.remove(name);
        }
        Ok(answer)
    }

    fn shift_date(self, date: &str) -> Result<String> {
        let date = DateTimeParser::new().parse_timestamp(date)? + SignedDuration::from_secs(self.clock);
        Ok(DateTimePrinter::new().timestamp_to_rfc9110_string(&date)?)
    }

    /// Shifts the time stamps of all families in an answer of the API.
    fn shift_stamps(self, mut json: Value) -> Value {
        let groups = json.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten();
        for (name, family) in groups.filter_map(Value::as_object_mut).flatten() {
            let more = self.family_age.map_or(0, |(older, age)| if name == older { age } else { 0 });
            let shift = SignedDuration::from_secs(self.clock - self.age - more);
            if let Some(stamp) = family.get_mut("time_stamp")
                && let Some(Ok(time)) = stamp.as_str().map(str::parse::<Timestamp>)
            {
                *stamp = (time + shift).to_string().into();
            }
        }
        json
    }
}
