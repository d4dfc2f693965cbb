//! Floods: many connections or streams at the same time. Each ends within seconds.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

use crate::slow::SlowUploads;

/// The longest flood.
const LONGEST: Duration = Duration::from_secs(3);
const SLOW: SlowUploads = SlowUploads {
    uploads: 48,
    body: 8 << 20,
    pause: Duration::from_millis(4),
    patience: Duration::from_secs(1),
};

/// Uploads that never end, over connections of their own or over one.
pub(super) fn slow_uploads(envoy: SocketAddr, http2: bool) -> Result<()> {
    if http2 { SLOW.http2(envoy) } else { SLOW.http1(envoy) }
}

/// Opens streams and resets them at once.
pub(super) fn streams(envoy: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let flood = async {
            let stream = TokioIo::new(tokio::net::TcpStream::connect(envoy).await?);
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            for number in 0..2000 {
                let request = Request::put(format!("http://a/metrics/job/stream{}", number % 10));
                sender.ready().await?;
                drop(sender.send_request(request.body(Full::new(Bytes::from_static(b"x 1\n")))?));
                tokio::task::yield_now().await;
            }
            anyhow::Ok(())
        };
        timeout(LONGEST, flood).await.unwrap_or(Ok(()))
    })
}

/// Connections that send nothing, or never a complete head.
pub(super) fn idle(envoy: SocketAddr, random: &mut Rng) -> Result<()> {
    let heads: [&[u8]; 4] =
        [b"", b"PU", b"PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    let mut open = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(envoy)?;
        stream.write_all(heads[random.usize(..heads.len())])?;
        open.push(stream);
    }
    thread::sleep(LONGEST);
    Ok(())
}
