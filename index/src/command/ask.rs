//! The catalogue that a command asks: that of a running server, or the files of one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use crate::api;
use crate::catalogue::{Catalogue, FILE};
use crate::error::BadInput;
use crate::output::Output;

/// Series of one request.
const PAGE: usize = 10_000;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Ask {
    /// URL of a running metric-index
    #[arg(long, value_name = "URL", env = "METRIC_INDEX_SERVER", default_value = "http://127.0.0.1:7001")]
    server: String,
    /// Read the catalogue in this directory, without a server
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<PathBuf>,
    /// Tenant whose series are asked for [default: the one without a name]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    tenant: String,
    /// Seconds until a request is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Format of the result
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// Parameters of a request.
pub(crate) type Parameters = Vec<(&'static str, String)>;

impl Ask {
    /// Asks for a path below `/api/v1/`.
    pub(crate) fn ask(&self, path: &str, parameters: &Parameters) -> Result<Value> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters.iter().map(|(name, value)| (*name, value.as_str())));
        let path = format!("/api/v1/{path}?{}", query.finish());
        let (status, body) = match &self.data {
            Some(folder) => self.read(folder.clone(), &path)?,
            None => self.fetch(&path)?,
        };
        let answer: Value = serde_json::from_slice(&body).with_context(|| {
            format!("the answer is no JSON (status {status}); is metric-index at {}?", self.server)
        })?;
        let reason = answer["error"].as_str().unwrap_or_default().to_owned();
        match status {
            StatusCode::OK => Ok(answer),
            StatusCode::BAD_REQUEST => Err(BadInput(reason).into()),
            _ => bail!("the server answered {status}: {reason}"),
        }
    }

    /// Asks page by page until there are `limit` items; 0 is all of them.
    pub(crate) fn pages(&self, path: &str, parameters: &Parameters, limit: usize) -> Result<Value> {
        let wanted = if limit == 0 { usize::MAX } else { limit };
        let mut whole: Option<Value> = None;
        let mut cursor = String::new();
        loop {
            let found = whole.as_ref().and_then(|whole| whole["data"].as_array()).map_or(0, Vec::len);
            let mut parameters = parameters.clone();
            parameters.push(("limit", PAGE.min(wanted - found).to_string()));
            parameters.push(("cursor", cursor));
            let mut page = self.ask(path, &parameters)?;
            let next = page["cursor"].as_str().map(str::to_owned);
            let answer = match whole.take() {
                None => page,
                Some(mut whole) => {
                    if let (Some(all), Some(more)) =
                        (whole["data"].as_array_mut(), page["data"].as_array_mut())
                    {
                        all.append(more);
                    }
                    whole["cursor"] = page["cursor"].take();
                    whole
                }
            };
            match next {
                Some(next) if answer["data"].as_array().map_or(0, Vec::len) < wanted => cursor = next,
                _ => return Ok(answer),
            }
            whole = Some(answer);
        }
    }

    fn fetch(&self, path: &str) -> Result<(StatusCode, Vec<u8>)> {
        // Fails only if a provider is installed, which is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            reqwest::blocking::Client::builder().timeout(Duration::from_secs(self.timeout)).build()?;
        let url = format!("{}{path}", self.server.trim_end_matches('/'));
        let request = client.get(url).header(api::TENANT_HEADER, &self.tenant);
        let response = request.send().with_context(|| {
            format!(
                "cannot ask {}: start `metric-index serve`, or name its directory with --data",
                self.server
            )
        })?;
        Ok((response.status(), response.bytes()?.to_vec()))
    }

    /// Answers as the server would, from the files.
    fn read(&self, folder: PathBuf, path: &str) -> Result<(StatusCode, Vec<u8>)> {
        if !folder.join(FILE).is_file() {
            return Err(BadInput(format!("--data {}: there is no file {FILE}", folder.display())).into());
        }
        let request = Request::get(path).header(api::TENANT_HEADER, &self.tenant).body(Body::empty())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let routes = api::router(Arc::new(Catalogue::open(&folder).await?));
            let response = TowerToHyperService::new(routes).call(request).await?;
            Ok((response.status(), response.into_body().collect().await?.to_bytes().to_vec()))
        })
    }
}

/// Returns the number in a field of an answer.
pub(crate) fn number(value: &Value) -> String {
    value.as_i64().unwrap_or_default().to_string()
}

/// Returns the text in a field of an answer.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the items of a list in an answer.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
