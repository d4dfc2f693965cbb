//! A client of the API server.

use std::fmt;
use std::time::Duration;

use anyhow::anyhow;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::{Certificate, Identity, StatusCode, Url};
use serde::Deserialize;

use super::access::{Access, KubernetesArgs, Token};
use crate::error::BadInput;
use crate::http::{Answer, AnswerLimits, ServerUrl, cause, send};
use crate::parse;
use crate::text;

/// A server without a response by then hangs, or the address is wrong.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that answers no packet for this long is gone: a watch is silent while nothing changes.
const VANISHED: Duration = Duration::from_secs(20);
/// Longest part of the server's reason that a message repeats.
const MAX_SHOWN: usize = 400;
const PROBE: Duration = Duration::from_secs(5);

/// One connection, with the certificates as they were when it was made.
#[derive(Debug)]
pub(crate) struct Kubernetes {
    client: Client,
    server: ServerUrl,
    token: Token,
    namespace: String,
}

/// An answer, or an event of a watch, that is an error.
#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    /// As a status of HTTP.
    #[serde(default)]
    pub(crate) code: u16,
    #[serde(default)]
    message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message: String = text::line(&self.message).chars().take(MAX_SHOWN).collect();
        write!(f, "the API server answered {}: {message}", self.code)?;
        match StatusCode::from_u16(self.code) {
            Ok(StatusCode::UNAUTHORIZED) => f.write_str("; the credentials are missing, wrong or expired"),
            Ok(StatusCode::FORBIDDEN) => {
                f.write_str("; the account needs this right by a Role and a RoleBinding")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Returns whether an error is a failure with this status.
    pub(crate) fn is(error: &anyhow::Error, status: StatusCode) -> bool {
        error.downcast_ref::<Self>().is_some_and(|failure| failure.code == status.as_u16())
    }
}

impl Kubernetes {
    /// Reads the credentials and makes a client, without a request.
    ///
    /// # Errors
    /// [`BadInput`]: a file or a field of the kubeconfig is missing or of no use.
    pub(crate) fn new(args: &KubernetesArgs) -> anyhow::Result<Self> {
        let access = Access::read(args)?;
        let bad = |what: &str, error: reqwest::Error| BadInput(format!("{what}: {}", cause(error)));
        let mut client = crate::http::client(TIMEOUT)
            .tcp_keepalive(PROBE)
            .tcp_keepalive_interval(PROBE)
            .tcp_keepalive_retries(3)
            .tcp_user_timeout(VANISHED);
        if let Some(ca) = &access.ca {
            let trusted = Certificate::from_pem_bundle(ca).map_err(|error| bad("CA certificates", error))?;
            client = client.tls_certs_only(trusted);
        }
        if let Some(identity) = &access.identity {
            client = client
                .identity(Identity::from_pem(identity).map_err(|error| bad("client certificate", error))?);
        }
        let client = client.build().map_err(|error| bad("certificates", error))?;
        let Access { server, token, namespace, .. } = access;
        Ok(Self { client, server, token, namespace })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the URL of a resource of this namespace: of all of a kind, or of the one with a name.
    pub(crate) fn url(&self, group: &str, version: &str, kind: &str, name: Option<&str>) -> Url {
        let path = ["apis", group, version, "namespaces", &self.namespace, kind];
        self.server.at(&path.into_iter().chain(name).collect::<Vec<_>>())
    }

    /// Sends a request and requires success.
    ///
    /// # Errors
    /// [`Failure`]: the server answered with an error. Any other error: it cannot be reached.
    pub(crate) fn send(&self, mut request: RequestBuilder, limits: AnswerLimits) -> anyhow::Result<Answer> {
        if let Some(token) = self.token.read()? {
            request = request.bearer_auth(token);
        }
        let answer = send(request, limits)
            .map_err(|error| anyhow!("the API server {} cannot be reached: {}", self.server, cause(error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        // The server writes its Status in one line.
        let reason = answer.reason();
        let message = parse::json(&reason).map_or(reason, |failure: Failure| failure.message);
        Err(Failure { code: status.as_u16(), message }.into())
    }
}
