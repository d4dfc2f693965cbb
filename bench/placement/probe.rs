//! Pushes through an Envoy to find out which member receives each push.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::upstream::MEMBER;

const CONNECTIONS: usize = 4;
/// Pipelined requests on one connection.
const AHEAD: usize = 64;
/// Time limit of an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the number of the member that answers a PUT to each path; every request carries `header`. A single request
/// comes first: its answer shows that the worker has applied all earlier updates of the main thread.
pub(crate) fn members(envoy: SocketAddr, paths: &[String], header: &str) -> Result<Vec<usize>> {
    batch(envoy, paths.get(..1).unwrap_or_default(), header)?;
    let each = paths.len().div_ceil(CONNECTIONS).max(1);
    thread::scope(|scope| {
        let batches: Vec<_> =
            paths.chunks(each).map(|paths| scope.spawn(move || batch(envoy, paths, header))).collect();
        let mut members = Vec::with_capacity(paths.len());
        for batch in batches {
            members.extend(batch.join().ok().context("a thread panicked")??);
        }
        Ok(members)
    })
}

/// Sends all requests over one connection.
fn batch(envoy: SocketAddr, paths: &[String], header: &str) -> Result<Vec<usize>> {
    let mut stream = TcpStream::connect(envoy)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut members = Vec::with_capacity(paths.len());
    for some in paths.chunks(AHEAD) {
        let request =
            |path| format!("PUT {path} HTTP/1.1\r\nhost: push\r\n{header}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(some.iter().map(request).collect::<String>().as_bytes())?;
        for path in some {
            members.push(answer(&mut answers).with_context(|| format!("PUT {path}"))?);
        }
    }
    Ok(members)
}

/// Reads the head of one answer, which has no body.
fn answer(reader: &mut impl BufRead) -> Result<usize> {
    let mut status = String::new();
    reader.read_line(&mut status)?;
    ensure!(status.starts_with("HTTP/1.1 200 "), "found the status {status:?}, expected 200");
    let mut member = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            bail!("the connection closed within an answer");
        }
        match line.trim_end().split_once(": ") {
            Some((MEMBER, id)) => member = Some(id.parse()?),
            Some(_) => {}
            None => return member.context("the answer names no member"),
        }
    }
}
