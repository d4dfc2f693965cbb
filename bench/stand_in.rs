//! The HTTP server of simulated gateways. It is written by hand: each answer must be one write, because a client delays its
//! acknowledgement of the first of two small ones.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::Result;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// An answer of a simulated gateway.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The header `content-type`.
    pub kind: &'static str,
    /// The body.
    pub body: Cow<'a, [u8]>,
}

/// A simulated gateway.
pub trait StandIn: Send + Sync + 'static {
    /// Answers a request by its method and path.
    fn answer(&self, method: &str, path: &str) -> Answer<'_>;
}

/// Answers for a gateway until the program ends. Returns the address.
///
/// # Errors
/// No port is free.
pub fn serve(gateway: &Arc<impl StandIn>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let gateway = Arc::clone(gateway);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let gateway = Arc::clone(&gateway);
            thread::spawn(move || connection(&*gateway, stream));
        }
    });
    Ok(address)
}

/// Answers the requests of one connection, whose bodies are empty.
fn connection(gateway: &impl StandIn, mut stream: TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let request = std::mem::take(&mut line);
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        line.clear();
        let mut words = request.split(' ');
        let Answer { status, kind, body } =
            gateway.answer(words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now())?;
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} -\r\ndate: {date}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), &body].concat())?;
    }
    Ok(())
}
