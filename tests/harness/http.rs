//! A blocking HTTP client that sends the path unchanged (`//`, `/../` and `%zz` included), over HTTP/1.1 or HTTP/2
//! without TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, Uri};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Builder, Runtime};

/// Far longer than any answer takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Encodes a value of a query or of a form: each byte.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// A client of one server that keeps its connections open between requests. Use one client per thread.
#[derive(Debug)]
pub struct Client {
    server: SocketAddr,
    runtime: Runtime,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// An answer with its whole body.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Client {
    /// Returns a client for HTTP/1.1.
    ///
    /// # Errors
    /// If the system provides no event loop.
    pub fn new(server: SocketAddr) -> Result<Self> {
        Self::build(server, false)
    }

    /// Returns a client for HTTP/2 with prior knowledge.
    ///
    /// # Errors
    /// If the system provides no event loop.
    pub fn http2(server: SocketAddr) -> Result<Self> {
        Self::build(server, true)
    }

    fn build(server: SocketAddr, http2: bool) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let pool = Pool::builder(TokioExecutor::new()).http2_only(http2).build_http();
        Ok(Self { server, runtime, pool })
    }

    /// Sends one request and reads the answer, without following redirects.
    ///
    /// # Errors
    /// If the path is not a request target, or the whole answer does not arrive in time.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response> {
        let uri =
            Uri::builder().scheme("http").authority(self.server.to_string()).path_and_query(path).build()?;
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        let answer = async {
            let response = self.pool.request(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Response { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        let whole = self.runtime.block_on(async { tokio::time::timeout(TIMEOUT, answer).await });
        whole
            .with_context(|| format!("no answer within {} s", TIMEOUT.as_secs()))
            .flatten()
            .with_context(|| format!("{method} http://{}{path}", self.server))
    }

    /// Sends GET without headers.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn get(&self, path: &str) -> Result<Response> {
        self.send("GET", path, &[], Bytes::new())
    }

    /// Sends PUT, which replaces a group.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn put(&self, path: &str, body: impl Into<Bytes>) -> Result<Response> {
        self.send("PUT", path, &[], body)
    }

    /// Sends POST, which replaces the metrics of the same names in a group.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<Response> {
        self.send("POST", path, &[], body)
    }

    /// Sends DELETE, which removes a group.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn delete(&self, path: &str) -> Result<Response> {
        self.send("DELETE", path, &[], Bytes::new())
    }
}

impl Response {
    /// Returns an answer with status 200 and no headers.
    #[must_use]
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: 200, headers: HeaderMap::new(), body: body.into() }
    }

    /// Returns the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    /// If the body is not JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    /// Returns the first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Writes `request` unchanged to a new connection and reads until the server closes it, so the request should contain
/// `Connection: close`.
///
/// # Errors
/// If the connection fails or stays open.
pub fn raw(server: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
