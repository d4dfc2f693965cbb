//! The gateways behind the proxy: any number of ports that answer every message with 200 at once.

use std::collections::HashMap;
use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use super::connection::Connection;
use super::pushes::Pushes;

/// Tokens below this one are connections that push.
const LISTENERS: usize = 1 << 16;
/// Tokens from this one on are connections of the proxy.
const ACCEPTED: usize = 1 << 20;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
/// Longest wait in one turn of the event loop.
const WAIT: Duration = Duration::from_millis(20);

/// Gateways on ports of 127.0.0.1.
pub(crate) struct Gateways {
    poll: Poll,
    events: Events,
    listeners: Vec<TcpListener>,
    /// By token.
    accepted: HashMap<usize, Connection>,
    next: usize,
    scratch: Vec<u8>,
}

impl Gateways {
    pub(crate) fn listen(number: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut listeners = Vec::with_capacity(number);
        for index in 0..number {
            let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            poll.registry().register(&mut listener, Token(LISTENERS + index), Interest::READABLE)?;
            listeners.push(listener);
        }
        let events = Events::with_capacity(256);
        let scratch = vec![0; 1 << 16];
        Ok(Self { poll, events, listeners, accepted: HashMap::new(), next: ACCEPTED, scratch })
    }

    /// Returns their addresses.
    pub(crate) fn addresses(&self) -> Result<Vec<SocketAddr>> {
        self.listeners.iter().map(TcpListener::local_addr).collect()
    }

    /// Runs one turn of the event loop. With `spin` it does not wait, so that pushes are sent when they are due.
    pub(crate) fn turn(&mut self, pushes: &mut Pushes, spin: bool) -> Result<()> {
        pushes.send_due(self.poll.registry(), &mut self.scratch)?;
        let wait = if spin { Duration::ZERO } else { WAIT };
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        let tokens: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for token in tokens {
            if token >= ACCEPTED {
                self.serve(token);
            } else if token >= LISTENERS {
                self.accept(token - LISTENERS)?;
            } else {
                pushes.turn(token, &mut self.scratch)?;
            }
        }
        Ok(())
    }

    fn accept(&mut self, index: usize) -> Result<()> {
        let Some(listener) = self.listeners.get(index) else { return Ok(()) };
        loop {
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.next += 1;
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(self.next), both)?;
            self.accepted.insert(self.next, Connection::new(socket));
        }
    }

    /// Answers complete messages; drops a connection that the proxy closed.
    fn serve(&mut self, token: usize) {
        let Some(connection) = self.accepted.get_mut(&token) else { return };
        let closed = loop {
            match connection.read(&mut self.scratch) {
                // The answer always fits into the empty buffer of a socket.
                Ok(Some(_)) if connection.write(ANSWER, &[]).is_ok() => connection.ready(),
                Ok(None) => break false,
                _ => break true,
            }
        };
        if closed {
            self.accepted.remove(&token);
        }
    }
}
