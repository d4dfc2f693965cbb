//! Uploads that take their time and never end, over many HTTP/1.1 connections or over one HTTP/2 connection.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use hyper::Request;
use hyper::body::{Body, Bytes, Frame};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{Sleep, sleep, timeout};

const CHUNK: usize = 16 << 10;

/// Uploads at one server, all at the same time.
#[derive(Debug, Clone, Copy)]
pub struct SlowUploads {
    /// Number of uploads.
    pub uploads: usize,
    /// Bytes of each, sent in chunks of 16 KiB; the last byte never comes.
    pub body: usize,
    /// The time between two chunks of an upload.
    pub pause: Duration,
    /// How long the uploads stay open after the last chunk, if the server lets them.
    pub patience: Duration,
}

impl SlowUploads {
    /// Sends each upload over a connection of its own, and returns when all are sent or closed and the patience is over.
    ///
    /// # Errors
    /// If the server accepts no connection.
    pub fn http1(self, server: SocketAddr) -> Result<()> {
        let mut open = Vec::new();
        for number in 0..self.uploads {
            let mut stream = TcpStream::connect(server)?;
            write!(
                stream,
                "PUT /metrics/job/slow{number} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
                self.body
            )?;
            stream.set_nonblocking(true)?;
            open.push(stream);
        }
        for _ in 1..self.body / CHUNK {
            open.retain_mut(|stream| match stream.write(&[b'#'; CHUNK]) {
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
            if open.is_empty() {
                return Ok(());
            }
            thread::sleep(self.pause);
        }
        thread::sleep(self.patience);
        Ok(())
    }

    /// Sends all uploads as streams of one connection, and returns when the server has ended all or the patience is over.
    ///
    /// # Errors
    /// If the server accepts no connection.
    pub fn http2(self, server: SocketAddr) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let stream = TokioIo::new(tokio::net::TcpStream::connect(server).await?);
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            let mut streams = Vec::new();
            for number in 0..self.uploads {
                let mut sender = sender.clone();
                let body = SlowBody {
                    chunks: self.body / CHUNK,
                    pause: self.pause,
                    next: Box::pin(sleep(self.pause)),
                };
                let request = Request::put(format!("http://a/metrics/job/slow{number}")).body(body)?;
                streams.push(tokio::spawn(async move { sender.send_request(request).await.map(drop) }));
            }
            let longest = self.pause * u32::try_from(self.body / CHUNK)? + self.patience;
            let _ = timeout(longest, async {
                for stream in streams {
                    let _ = stream.await;
                }
            })
            .await;
            Ok(())
        })
    }
}

/// A body whose last chunk never comes.
struct SlowBody {
    chunks: usize,
    pause: Duration,
    next: Pin<Box<Sleep>>,
}

impl Body for SlowBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.chunks <= 1 {
            return Poll::Pending;
        }
        ready!(self.next.as_mut().poll(context));
        self.next = Box::pin(sleep(self.pause));
        self.chunks -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'#'; CHUNK])))))
    }
}
