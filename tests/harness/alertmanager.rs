//! Receives Alertmanager's messages.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::Value;

use crate::http::Response;
use crate::server;

/// Listens until the program ends, and passes each alert of each message to `note`. Alertmanager repeats all alerts of a group
/// when one of them changes.
///
/// # Errors
/// If no port is free.
pub fn receive(note: impl Fn(&Value) + Send + Sync + 'static) -> Result<SocketAddr> {
    server::serve(move |request| {
        let message: Value = serde_json::from_slice(&request.body)?;
        message["alerts"].as_array().into_iter().flatten().for_each(&note);
        Ok(Response::ok(""))
    })
}
