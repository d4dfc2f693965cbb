//! What all Pushgateways of a fleet have in common: how to reach them, and how many at the same time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use pushring_router::Config;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use reqwest::blocking::Client;
use reqwest::redirect::Policy;

use super::client::{Auth, Gateway};
use super::limits::Limits;
use crate::error::BadInput;
use crate::http::Tls;

/// The longest `--gateway-timeout`; time arithmetic ends somewhere beyond.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// How to reach the Pushgateways.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Pushgateways")]
pub(crate) struct GatewayArgs {
    /// http or https [default: redirect_scheme of the configuration]
    #[arg(long, value_name = "SCHEME", value_parser = ["http", "https"])]
    pub(crate) gateway_scheme: Option<String>,
    /// User for basic authentication
    #[arg(long, value_name = "USER", conflicts_with = "gateway_token")]
    pub(crate) gateway_user: Option<String>,
    /// Its password; better in the variable than among the arguments
    #[arg(long, env = "PUSHRING_GATEWAY_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub(crate) gateway_password: Option<String>,
    /// Bearer token
    #[arg(long, env = "PUSHRING_GATEWAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) gateway_token: Option<String>,
    /// File with the certificates (PEM) to trust for https besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) gateway_ca_file: Option<PathBuf>,
    /// File with the client's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "gateway_key")]
    pub(crate) gateway_cert: Option<PathBuf>,
    /// File with the key of the client's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "gateway_cert")]
    pub(crate) gateway_key: Option<PathBuf>,
    /// A gateway that takes longer for an answer is unreachable
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) gateway_timeout: Duration,
    /// Requests at the same time, over all gateways
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) gateway_concurrency: u16,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// What all gateways have in common: the HTTP client, scheme, credentials, path prefix.
#[derive(Clone, Debug)]
pub(crate) struct Gateways {
    client: Client,
    timeout: Duration,
    scheme: String,
    path_prefix: String,
    auth: Auth,
    threads: Arc<ThreadPool>,
    limits: Limits,
}

impl Gateways {
    /// Prepares the client; asks nothing yet.
    ///
    /// # Errors
    /// [`BadInput`] when a flag or a file is unusable.
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
        ensure!(
            !timeout.is_zero() && timeout <= MAX_TIMEOUT,
            BadInput(format!(
                "--gateway-timeout: found {timeout:?}, allowed above 0 and up to {MAX_TIMEOUT:?}"
            ))
        );
        // A redirect would lead to another gateway than the one that was asked.
        let client = tls
            .add_to(crate::http::client(timeout).redirect(Policy::none()))
            .map_err(BadInput::from_error)?;
        Ok(Self {
            client: client.build().map_err(|error| BadInput(format!("Pushgateways: {error}")))?,
            timeout,
            scheme: args.gateway_scheme.clone().unwrap_or_else(|| config.redirect_scheme.to_owned()),
            path_prefix: config.path_prefix.clone(),
            auth,
            threads: Arc::new(ThreadPoolBuilder::new().num_threads(args.gateway_concurrency.into()).build()?),
            limits: args.limits,
        })
    }

    /// The gateway of a member.
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
        }
    }

    /// `f` of every item, in the order of the items, at most `--gateway-concurrency` at the same time. A panic in `f`
    /// goes on here.
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
    fn a_result_that_is_missing_is_not_made_up_for_by_the_next() {
        gateways(Duration::from_secs(1)).unwrap().each(&[1, 2, 3], |item| assert!(*item != 2, "the second"));
    }

    #[test]
    fn no_timeout_is_none() {
        for timeout in [Duration::ZERO, Duration::from_secs(3601), Duration::MAX] {
            assert!(gateways(timeout).unwrap_err().is::<BadInput>());
        }
    }
}
