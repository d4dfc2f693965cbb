//! Settings that all Pushgateways of a fleet share: access, timeout and concurrency.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pushring_router::Config;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use reqwest::blocking::Client;

use super::client::{Auth, Gateway};
use super::time_limits::Limits;
use crate::duration;
use crate::error::BadInput;
use crate::http::{AnswerLimits, Tls};

/// Flags for access to the Pushgateways.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Pushgateways")]
pub(crate) struct GatewayArgs {
    /// Scheme, http or https [default: redirect_scheme of the configuration]
    #[arg(long, value_name = "SCHEME", value_parser = ["http", "https"])]
    pub(crate) gateway_scheme: Option<String>,
    /// User for basic authentication
    #[arg(long, value_name = "USER", conflicts_with = "gateway_token")]
    pub(crate) gateway_user: Option<String>,
    /// Password for basic authentication; prefer the variable, because arguments are visible to other users
    #[arg(long, env = "PUSHRING_GATEWAY_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub(crate) gateway_password: Option<String>,
    /// Bearer token
    #[arg(long, env = "PUSHRING_GATEWAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) gateway_token: Option<String>,
    /// CA certificates (PEM file) for https, in addition to the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) gateway_ca_file: Option<PathBuf>,
    /// Client certificate (PEM file)
    #[arg(long, value_name = "FILE", requires = "gateway_key")]
    pub(crate) gateway_cert: Option<PathBuf>,
    /// Key of the client certificate (PEM file)
    #[arg(long, value_name = "FILE", requires = "gateway_cert")]
    pub(crate) gateway_key: Option<PathBuf>,
    /// Timeout for each request to a gateway
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::within(duration::MILLISECOND, duration::HOUR))]
    pub(crate) gateway_timeout: Duration,
    /// Maximum number of concurrent requests to all gateways together
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) gateway_concurrency: u16,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// The HTTP client, credentials and other settings that all gateways share.
#[derive(Clone, Debug)]
pub(crate) struct Gateways {
    client: Client,
    timeout: Duration,
    scheme: String,
    path_prefix: String,
    auth: Auth,
    threads: Arc<ThreadPool>,
    limits: Limits,
    answers: AnswerLimits,
}

impl Gateways {
    /// Creates the client without sending a request. A flag or file that is unusable is a [`BadInput`].
    pub(crate) fn new(args: &GatewayArgs, config: &Config) -> anyhow::Result<Self> {
        let auth = match (&args.gateway_user, &args.gateway_token) {
            (Some(user), _) => Auth::Basic(user.clone(), args.gateway_password.clone()),
            (None, Some(token)) => Auth::Bearer(token.trim().to_owned()),
            (None, None) => Auth::None,
        };
        let tls = Tls {
            ca_file: args.gateway_ca_file.as_deref(),
            cert: args.gateway_cert.as_deref(),
            key: args.gateway_key.as_deref(),
        };
        let timeout = args.gateway_timeout;
        let client = tls.add_to(crate::http::client(timeout)).map_err(BadInput::from_error)?;
        Ok(Self {
            client: client.build().map_err(|error| BadInput(format!("Pushgateways: {error}")))?,
            timeout,
            scheme: args.gateway_scheme.clone().unwrap_or_else(|| config.redirect_scheme.to_owned()),
            path_prefix: config.path_prefix.clone(),
            auth,
            threads: Arc::new(ThreadPoolBuilder::new().num_threads(args.gateway_concurrency.into()).build()?),
            limits: args.limits,
            answers: AnswerLimits::of_gateway(),
        })
    }

    pub(crate) fn gateway(&self, name: &str, address: &str) -> Gateway {
        Gateway {
            name: name.to_owned(),
            address: address.to_owned(),
            origin: format!("{}://{address}", self.scheme),
            path_prefix: self.path_prefix.clone(),
            client: self.client.clone(),
            timeout: self.timeout,
            auth: self.auth.clone(),
            limits: self.limits,
            answers: self.answers,
        }
    }

    /// Applies `f` to every item, at most `--gateway-concurrency` at once, and returns the results in the order of the
    /// items. A panic in `f` propagates.
    pub(crate) fn each<T: Sync, R: Send>(&self, items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
        self.threads.install(|| items.par_iter().with_max_len(1).map(&f).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateways(timeout: Duration) -> anyhow::Result<Gateways> {
        let args = GatewayArgs {
            gateway_scheme: None,
            gateway_user: None,
            gateway_password: None,
            gateway_token: None,
            gateway_ca_file: None,
            gateway_cert: None,
            gateway_key: None,
            gateway_timeout: timeout,
            gateway_concurrency: 2,
            limits: Limits { max_decision_age: timeout, slow_api: timeout, max_delete_time: timeout },
        };
        Gateways::new(&args, &Config::parse(br#"{"members":["a:1"]}"#).unwrap())
    }

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(gateways(Duration::from_secs(1)).unwrap().each(&items, |item| *item), items);
    }

    #[test]
    #[should_panic(expected = "the second")]
    fn propagates_a_panic() {
        gateways(Duration::from_secs(1)).unwrap().each(&[1, 2, 3], |item| assert!(*item != 2, "the second"));
    }
}
