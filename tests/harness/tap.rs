//! A forwarder in front of a Pushgateway, for what cannot be had otherwise: a clock that is minutes off, and something
//! that happens exactly between two requests.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::http::{Client, Response};

/// A request on its way to the server.
#[derive(Clone, Debug)]
pub struct Passing {
    /// `GET`, …
    pub method: String,
    /// With the query.
    pub path: String,
}

type Hook = dyn Fn(&Passing) + Send + Sync;

/// Forwards until the program ends.
#[derive(Clone)]
pub struct Tap {
    /// Where it listens.
    pub address: SocketAddr,
    server: SocketAddr,
    shift: Arc<Mutex<Shift>>,
    before: Arc<Hook>,
}

/// How time shows behind a forwarder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shift {
    /// How far the gateway's clock seems ahead of the true time, in seconds: in dates and time stamps.
    pub clock: i64,
    /// How long ago, in seconds and on top of what is true, everything that it holds seems pushed.
    pub age: i64,
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tap({} -> {})", self.address, self.server)
    }
}

impl Tap {
    /// In front of `server`. `before` is called before a request goes on, and may take its time.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(
        server: SocketAddr,
        shift: Shift,
        before: impl Fn(&Passing) + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let shift = Arc::new(Mutex::new(shift));
        let tap = Self { address: listener.local_addr()?, server, shift, before: Arc::new(before) };
        let serving = tap.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tap = serving.clone();
                // The client closes when it is done, or the test is over.
                thread::spawn(move || tap.serve(stream));
            }
        });
        Ok(tap)
    }

    /// From now on time shows like this.
    pub fn set(&self, shift: Shift) {
        *self.shift.lock().unwrap_or_else(PoisonError::into_inner) = shift;
    }

    fn shift(&self) -> Shift {
        *self.shift.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let client = Client::new(self.server)?;
        while let Some((passing, headers, body)) = request(&mut reader)? {
            (self.before)(&passing);
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let send = || client.send(&passing.method, &passing.path, &headers, body.clone());
            // A server that was started anew has closed the connection that is kept.
            let answer = send().or_else(|_| send())?;
            stream.write_all(&self.answer(&answer))?;
        }
        Ok(())
    }

    fn answer(&self, answer: &Response) -> Vec<u8> {
        let body = if answer.header("content-type") == Some("application/json") {
            self.shift_stamps(&answer.text()).into_bytes()
        } else {
            answer.body.to_vec()
        };
        let mut head = format!("HTTP/1.1 {} -\r\ncontent-length: {}\r\n", answer.status, body.len());
        if let Some(form) = answer.header("content-type") {
            head += &format!("content-type: {form}\r\n");
        }
        if let Some(date) = answer.header("date") {
            head += &format!("date: {}\r\n", self.shift_date(date));
        }
        [head.as_bytes(), b"\r\n", &body].concat()
    }

    fn shift_date(&self, date: &str) -> String {
        let parser = jiff::fmt::rfc2822::DateTimeParser::new();
        let shifted =
            parser.parse_timestamp(date).map(|date| date + SignedDuration::from_secs(self.shift().clock));
        let print = |date| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date);
        shifted.and_then(print).unwrap_or_default()
    }

    fn shift_stamps(&self, json: &str) -> String {
        const MARK: &str = "\"time_stamp\":\"";
        let shift = self.shift();
        let shift = SignedDuration::from_secs(shift.clock - shift.age);
        let mut parts = json.split(MARK);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (stamp, rest) = part.split_once('"').unwrap_or((part, ""));
            let shifted = stamp.parse::<Timestamp>().map(|stamp| (stamp + shift).to_string());
            out += &format!("{MARK}{}\"{rest}", shifted.unwrap_or_else(|_| stamp.to_owned()));
        }
        out
    }
}

/// What a request has besides its first line.
type Rest = (Passing, Vec<(String, String)>, Bytes);

fn request(reader: &mut impl BufRead) -> Result<Option<Rest>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = words.next().zip(words.next()).context("no request line")?;
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        match name.as_str() {
            "content-length" => length = value.parse()?,
            "host" | "connection" => {}
            _ => headers.push((name, value)),
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((Passing { method, path }, headers, body.into())))
}
