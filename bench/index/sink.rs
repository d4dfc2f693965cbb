//! A server that accepts each remote write and forgets it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result};

/// The server; it runs until the program ends.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    writes: Arc<AtomicU64>,
}

impl Sink {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let sink = Self { address: listener.local_addr()?, writes: Arc::default() };
        let writes = Arc::clone(&sink.writes);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let writes = Arc::clone(&writes);
                thread::spawn(move || connection(stream, &writes));
            }
        });
        Ok(sink)
    }

    /// Returns the number of writes.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

fn connection(mut stream: TcpStream, writes: &AtomicU64) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut body = Vec::new();
    while let Some(length) = head(&mut reader)? {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        writes.fetch_add(u64::from(length > 0), Ordering::Relaxed);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
    Ok(())
}

/// Reads the head of a request; returns the length of its body, or nothing at the end.
fn head(reader: &mut impl BufRead) -> Result<Option<usize>> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            return Ok(Some(length));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().context("content-length")?;
        }
    }
}
