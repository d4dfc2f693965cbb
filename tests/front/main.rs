//! The side towards clients: a request has the same result at pushring as at a Pushgateway.

mod chunked;
mod closing;
mod differences;
mod http2;
mod influence;
mod limits;
mod odd_headers;
mod proxies;
mod requests;
mod side;
mod table;
mod texts;
mod wire;
