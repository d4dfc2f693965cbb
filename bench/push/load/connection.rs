//! One non-blocking connection, with just enough HTTP/1.1 to find the end of a message.

use std::io::{ErrorKind, IoSlice, Read, Result, Write};

use mio::net::TcpStream;

/// The message that is arriving: its head, and the number of bytes of its body that are still missing.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    head: Vec<u8>,
    body_left: Option<usize>,
}

impl Incoming {
    /// Takes bytes and returns the head once the message is complete. Messages are never pipelined: the peer sends the
    /// next one only after an answer.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let left = match self.body_left {
            Some(left) => left.saturating_sub(bytes.len()),
            None => {
                let searched = self.head.len().saturating_sub(3);
                self.head.extend_from_slice(bytes);
                let found = self.head.get(searched..)?.windows(4).position(|four| four == b"\r\n\r\n")?;
                let end = searched + found + 4;
                let body = self.head.len() - end;
                self.head.truncate(end);
                content_length(&self.head).saturating_sub(body)
            }
        };
        if left > 0 {
            self.body_left = Some(left);
            return None;
        }
        self.body_left = None;
        Some(std::mem::take(&mut self.head))
    }
}

fn content_length(head: &[u8]) -> usize {
    header(head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Returns the value of a header.
pub(crate) fn header<'h>(head: &'h [u8], name: &str) -> Option<&'h str> {
    head.split(|&b| b == b'\n').find_map(|line| {
        let (key, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        key.eq_ignore_ascii_case(name.as_bytes()).then(|| std::str::from_utf8(value).ok())?.map(str::trim)
    })
}

/// A socket with its partly read and partly written messages.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    incoming: Incoming,
    /// Number of bytes sent of the current message.
    sent: usize,
}

impl Connection {
    pub(crate) fn new(socket: TcpStream) -> Self {
        let _ = socket.set_nodelay(true);
        Self { socket, incoming: Incoming::default(), sent: 0 }
    }

    /// Reads all available bytes and returns the head of a complete message. `scratch` is the read buffer.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Result<Option<Vec<u8>>> {
        loop {
            match self.socket.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(size) => {
                    if let Some(head) = self.incoming.feed(scratch.get(..size).unwrap_or_default()) {
                        return Ok(Some(head));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends as much of head and body as the socket takes, from where the last call stopped; returns true when all is
    /// sent. Call [`Connection::ready`] before the next message.
    pub(crate) fn write(&mut self, head: &[u8], body: &[u8]) -> Result<bool> {
        while self.sent < head.len() + body.len() {
            let from = self.sent.min(head.len());
            let parts = [
                IoSlice::new(head.get(from..).unwrap_or_default()),
                IoSlice::new(body.get(self.sent - from..).unwrap_or_default()),
            ];
            match self.socket.write_vectored(&parts) {
                Ok(size) => self.sent += size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Starts the next message.
    pub(crate) fn ready(&mut self) {
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_of_a_message_in_any_two_pieces() {
        let message = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-other: 7\r\n\r\nhello";
        for cut in 0..message.len() {
            let mut incoming = Incoming::default();
            assert_eq!(incoming.feed(&message[..cut]), None, "{cut}");
            let head = incoming.feed(&message[cut..]).expect("a complete message");
            assert_eq!(header(&head, "x-other"), Some("7"), "{cut}");
            assert!(incoming.feed(b"HTTP/1.1 307 X\r\n\r\n").is_some(), "the next message");
        }
    }
}
