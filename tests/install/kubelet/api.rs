//! Requests to the API server.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use pushring_harness::http::{Client, Response};
use serde_json::Value;

/// A client for one thread.
pub(crate) struct Api {
    client: Client,
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        Ok(Self { client: Client::new(address)? })
    }

    /// Returns an object or a list; `None` if it does not exist.
    pub(crate) fn get(&self, path: &str) -> Result<Option<Value>> {
        let answer = self.client.get(path)?;
        if answer.status == 404 {
            return Ok(None);
        }
        json(path, &answer).map(Some)
    }

    pub(crate) fn post(&self, path: &str, object: &Value) -> Result<Value> {
        json(path, &self.send("POST", path, "application/json", object)?)
    }

    /// Changes fields; lists are replaced.
    pub(crate) fn patch(&self, path: &str, fields: &Value) -> Result<()> {
        json(path, &self.send("PATCH", path, "application/merge-patch+json", fields)?).map(drop)
    }

    /// Deletes an object; one that does not exist is deleted.
    pub(crate) fn delete(&self, path: &str, options: &Value) -> Result<()> {
        let answer = self.send("DELETE", path, "application/json", options)?;
        ensure!(answer.status < 300 || answer.status == 404, "DELETE {path}: {}", answer.text());
        Ok(())
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Result<Response> {
        self.client.send(method, path, &[("content-type", kind)], body.to_string())
    }
}

fn json(path: &str, answer: &Response) -> Result<Value> {
    ensure!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
    answer.json()
}
