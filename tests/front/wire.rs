//! Sends bytes as they are and reads the statuses of the answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Far longer than any answer takes on a busy machine: only a failing test waits this long.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An answer without its body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
}

impl Answer {
    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.trim()))
    }
}

/// Sends a request and reads the answers: up to the first that is not an interim one, or, if the request asks for it, until
/// the server closes the connection. No answer means that it closed without one.
pub(crate) fn exchange(server: SocketAddr, request: &[u8]) -> Vec<Answer> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(request);
    let until_closed = request.windows(17).any(|part| part.eq_ignore_ascii_case(b"connection: close"));
    let head_request = request.starts_with(b"HEAD ");
    let mut bytes = Vec::new();
    loop {
        let open = read(&mut stream, &mut bytes);
        let answers = parse(&bytes, head_request);
        let last = answers.last().filter(|answer| answer.status >= 200 || answer.status == 101);
        if !open || last.is_some_and(|answer| !until_closed || answer.header("connection") == Some("close")) {
            return answers;
        }
    }
}

/// Reads some bytes; false at the end.
fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut part = [0; 16 << 10];
    match stream.read(&mut part) {
        Ok(0) => false,
        Ok(count) => {
            bytes.extend_from_slice(&part[..count]);
            true
        }
        Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
        Err(error) => panic!("no answer: {error}; so far {:?}", String::from_utf8_lossy(bytes)),
    }
}

/// Returns the complete answers at the start of `bytes`.
fn parse(mut bytes: &[u8], head_request: bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(end) = find(bytes, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status =
            head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
        let answer = Answer { status, head };
        let body = &bytes[end + 4..];
        let none = head_request || status < 200 || status == 204 || status == 304;
        let length = if none { Some(0) } else { body_length(&answer, body) };
        let Some(length) = length.filter(|length| *length <= body.len()) else { break };
        bytes = &body[length..];
        answers.push(answer);
    }
    answers
}

/// Returns the length of the body on the wire; `None` while it is incomplete.
fn body_length(answer: &Answer, body: &[u8]) -> Option<usize> {
    if let Some(length) = answer.header("content-length") {
        return Some(length.parse().unwrap());
    }
    if answer.header("transfer-encoding").is_none() {
        // Until the server closes: the head alone decides.
        return Some(body.len());
    }
    let mut at = 0;
    loop {
        let line = find(&body[at..], b"\r\n")?;
        let size = std::str::from_utf8(&body[at..at + line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        at += line + 2 + size + 2;
        if at > body.len() {
            return None;
        }
        if size == 0 {
            return Some(at);
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
