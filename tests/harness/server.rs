//! An HTTP/1.1 server that answers by a function, for behavior that no real server shows on request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;

use anyhow::Result;
use http_body_util::{BodyExt, Full};
use hyper::HeaderMap;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

use crate::http::Response;

/// A complete request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// The path with the query, as sent.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

type Answer = dyn Fn(&Request) -> Result<Response> + Send + Sync;

/// Listens on a free port until the program ends. `answer` may block; an error or a panic in it closes the connection.
///
/// # Errors
/// If no port is free.
pub fn serve(answer: impl Fn(&Request) -> Result<Response> + Send + Sync + 'static) -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || runtime.block_on(accept(listener, Arc::new(answer))));
    Ok(address)
}

async fn accept(listener: std::net::TcpListener, answer: Arc<Answer>) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = Arc::clone(&answer);
        let service = service_fn(move |request| handle(request, Arc::clone(&answer)));
        let mut http = http1::Builder::new();
        tokio::spawn(http.auto_date_header(false).serve_connection(TokioIo::new(stream), service));
    }
}

async fn handle(
    request: hyper::Request<Incoming>,
    answer: Arc<Answer>,
) -> Result<hyper::Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let request = Request {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    };
    // A task of its own: hooks of tests wait, and send requests with a blocking client.
    let Response { status, headers, body } = spawn_blocking(move || answer(&request)).await??;
    let mut response = hyper::Response::builder().status(status).body(Full::new(body))?;
    *response.headers_mut() = headers;
    Ok(response)
}
