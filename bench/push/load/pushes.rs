//! The clients: keep-alive connections that push prepared messages to a proxy and measure the latency.

use std::collections::VecDeque;
use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::connection::{Connection, header};

/// The rate of pushes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Each connection pushes again as soon as it is answered.
    Closed,
    /// Pushes are due at this constant rate, whether or not earlier ones are answered; latency counts from that moment.
    PerSecond(u32),
}

/// The result of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Latencies in nanoseconds.
    pub(crate) times: Vec<u64>,
    /// Answers with another status, and broken connections.
    pub(crate) failed: u64,
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) fn answered(&self) -> usize {
        self.times.len()
    }
}

/// A prepared request line with its headers.
pub(crate) type Push = Vec<u8>;

/// A set of connections and the messages that they send in turn.
pub(crate) struct Pushes {
    messages: Vec<Push>,
    body: Vec<u8>,
    expected: Vec<u8>,
    connections: Vec<Option<Client>>,
    wanted: usize,
    idle: VecDeque<usize>,
    proxy: SocketAddr,
    pace: Pace,
    start: Instant,
    begun: u64,
    running: bool,
    outcome: Outcome,
}

struct Client {
    connection: Connection,
    /// The pending message and the moment at which it was due.
    pending: Option<(usize, Instant)>,
}

impl Pushes {
    /// A push succeeds if it is answered with `status`.
    pub(crate) fn new(messages: Vec<Push>, body: Vec<u8>, status: u16, connections: usize) -> Self {
        Self {
            messages,
            body,
            expected: format!("HTTP/1.1 {status}").into_bytes(),
            connections: Vec::new(),
            wanted: connections,
            idle: VecDeque::new(),
            proxy: SocketAddr::from(([127, 0, 0, 1], 0)),
            pace: Pace::Closed,
            start: Instant::now(),
            begun: 0,
            running: false,
            outcome: Outcome::default(),
        }
    }

    pub(super) fn begin(&mut self, proxy: SocketAddr, pace: Pace) {
        if proxy != self.proxy {
            self.connections.clear();
            self.proxy = proxy;
        }
        self.connections.resize_with(self.wanted, || None);
        self.idle = (0..self.wanted).collect();
        self.outcome = Outcome::default();
        (self.pace, self.start, self.begun, self.running) = (pace, Instant::now(), 0, true);
    }

    pub(super) fn stop(&mut self) {
        self.running = false;
    }

    /// Reports whether pushes are pending.
    pub(super) fn pending(&self) -> bool {
        self.connections.iter().flatten().any(|client| client.pending.is_some())
    }

    /// Counts pending pushes as failed and returns the result.
    pub(super) fn end(&mut self, took: Duration) -> Outcome {
        for slot in &mut self.connections {
            if slot.as_ref().is_some_and(|client| client.pending.is_some()) {
                *slot = None;
                self.outcome.failed += 1;
            }
        }
        self.outcome.took = took;
        std::mem::take(&mut self.outcome)
    }

    /// Sends due pushes over idle connections.
    pub(super) fn send_due(&mut self, registry: &Registry, scratch: &mut [u8]) -> Result<()> {
        while let (Some(due), Some(&index)) = (self.due(), self.idle.front()) {
            self.idle.pop_front();
            let message = usize::try_from(self.begun).unwrap_or(0) % self.messages.len().max(1);
            self.begun += 1;
            if self.connections.get(index).is_none_or(Option::is_none) {
                let mut socket = TcpStream::connect(self.proxy)?;
                registry.register(&mut socket, Token(index), Interest::READABLE | Interest::WRITABLE)?;
                if let Some(slot) = self.connections.get_mut(index) {
                    *slot = Some(Client { connection: Connection::new(socket), pending: None });
                }
            }
            if let Some(Some(client)) = self.connections.get_mut(index) {
                client.pending = Some((message, due));
            }
            self.turn(index, scratch)?;
        }
        Ok(())
    }

    /// Returns when the next push was due, if it is due by now.
    fn due(&self) -> Option<Instant> {
        if !self.running {
            return None;
        }
        match self.pace {
            Pace::Closed => Some(Instant::now()),
            Pace::PerSecond(rate) => {
                let due =
                    self.start + Duration::from_nanos(self.begun * 1_000_000_000 / u64::from(rate.max(1)));
                (due <= Instant::now()).then_some(due)
            }
        }
    }

    /// Handles an event of a connection.
    pub(super) fn turn(&mut self, index: usize, scratch: &mut [u8]) -> Result<()> {
        let Some(slot) = self.connections.get_mut(index) else { return Ok(()) };
        let Some(client) = slot else { return Ok(()) };
        let Some((message, due)) = client.pending else {
            // The proxy may close an idle connection.
            if client.connection.read(scratch).is_err() {
                *slot = None;
            }
            return Ok(());
        };
        let head = self.messages.get(message).map(Vec::as_slice).unwrap_or_default();
        // A redirect is answered before the whole push is sent; Envoy then closes the connection.
        let sent = client.connection.write(head, &self.body);
        let answer = match (client.connection.read(scratch), &sent) {
            (Err(error), _) if error.kind() == ErrorKind::NotConnected => return Ok(()),
            (Ok(None), Ok(_)) => return Ok(()),
            (answer, _) => answer.ok().flatten(),
        };
        let good = answer.as_ref().is_some_and(|answer| answer.starts_with(&self.expected));
        if good {
            self.outcome.times.push(u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX));
        } else {
            self.outcome.failed += 1;
        }
        let closes = answer.is_none_or(|answer| header(&answer, "connection") == Some("close"));
        if closes || !matches!(sent, Ok(true)) {
            *slot = None;
        } else {
            client.pending = None;
            client.connection.ready();
        }
        self.idle.push_back(index);
        Ok(())
    }
}
