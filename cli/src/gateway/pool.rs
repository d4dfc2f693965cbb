//! Settings that all Pushgateways of a fleet share: access, timeout and concurrency.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use reqwest::blocking::Client;

use super::client::{Auth, Gateway};
use super::time_limits::Limits;
use crate::duration;
use crate::error::BadInput;
use crate::fleet::access::Scheme;
use crate::fleet::source::Fleet;
use crate::http::{AnswerLimits, Secret, SecretKind, Tls, check_user};
use crate::number;

/// Flags for access to the Pushgateways.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Pushgateways")]
pub(crate) struct GatewayArgs {
    /// Scheme, http or https [default: the registration's, else redirect_scheme of the configuration]
    #[arg(long, value_name = "SCHEME", value_parser = ["http", "https"])]
    pub(crate) gateway_scheme: Option<String>,
    /// User for basic authentication
    #[arg(long, value_name = "USER", conflicts_with = "gateway_token")]
    pub(crate) gateway_user: Option<String>,
    /// Password for basic authentication; prefer the variable, because arguments are visible to other users
    #[arg(long, env = "PUSHRING_GATEWAY_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub(crate) gateway_password: Option<String>,
    /// File with the password for basic authentication; takes precedence over --gateway-password
    #[arg(long, env = "PUSHRING_GATEWAY_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) gateway_password_file: Option<PathBuf>,
    /// Bearer token; prefer the variable or the file
    #[arg(long, env = "PUSHRING_GATEWAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) gateway_token: Option<String>,
    /// File with the bearer token; takes precedence over --gateway-token
    #[arg(long, env = "PUSHRING_GATEWAY_TOKEN_FILE", value_name = "FILE", conflicts_with = "gateway_user")]
    pub(crate) gateway_token_file: Option<PathBuf>,
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
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = number::within(1..=256))]
    pub(crate) gateway_concurrency: u32,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// The HTTP client, credentials and other settings that all gateways share.
#[derive(Clone, Debug)]
pub(crate) struct Gateways {
    client: Client,
    timeout: Duration,
    schemes: Schemes,
    path_prefix: String,
    auth: Auth,
    threads: Arc<ThreadPool>,
    limits: Limits,
    answers: AnswerLimits,
}

/// The protocol of each gateway.
#[derive(Clone, Debug)]
struct Schemes {
    default: String,
    /// By address, from the registrations.
    known: BTreeMap<String, Scheme>,
}

impl Schemes {
    fn of(&self, address: &str) -> &str {
        self.known.get(address).map_or(&self.default, |scheme| scheme.as_str())
    }
}

impl GatewayArgs {
    fn auth(&self) -> anyhow::Result<Auth> {
        let password = Secret {
            kind: SecretKind::Password,
            flag: "--gateway-password",
            variable: "PUSHRING_GATEWAY_PASSWORD",
            file: self.gateway_password_file.as_deref(),
            given: self.gateway_password.as_deref(),
        };
        let token = Secret {
            kind: SecretKind::Token,
            flag: "--gateway-token",
            variable: "PUSHRING_GATEWAY_TOKEN",
            file: self.gateway_token_file.as_deref(),
            given: self.gateway_token.as_deref(),
        };
        let (password, token) = (password.read()?, token.read()?);
        if let Some(user) = &self.gateway_user {
            check_user("--gateway-user", user)?;
        } else if password.is_some() {
            bail!(BadInput(
                "--gateway-password: found a password without a user, expected --gateway-user with it"
                    .to_owned()
            ));
        }
        Ok(match (&self.gateway_user, token) {
            (Some(user), _) => Auth::Basic(user.clone(), password),
            (None, Some(token)) => Auth::Bearer(token),
            (None, None) => Auth::None,
        })
    }
}

impl Gateways {
    /// Creates the client without sending a request. A flag or file that is unusable is a [`BadInput`].
    pub(crate) fn new(args: &GatewayArgs, fleet: &Fleet) -> anyhow::Result<Self> {
        let config = fleet.router.config();
        let auth = args.auth()?;
        let tls = Tls {
            flags: "--gateway",
            ca_file: args.gateway_ca_file.as_deref(),
            cert: args.gateway_cert.as_deref(),
            key: args.gateway_key.as_deref(),
        };
        let timeout = args.gateway_timeout;
        let client = tls.add_to(crate::http::client(timeout))?;
        Ok(Self {
            client: client.build().map_err(|error| BadInput(format!("Pushgateways: {error}")))?,
            timeout,
            schemes: match &args.gateway_scheme {
                Some(scheme) => Schemes { default: scheme.clone(), known: BTreeMap::new() },
                None => Schemes { default: config.redirect_scheme.to_owned(), known: fleet.schemes.clone() },
            },
            path_prefix: config.path_prefix.clone(),
            auth,
            threads: Arc::new(
                ThreadPoolBuilder::new().num_threads(args.gateway_concurrency as usize).build()?,
            ),
            limits: args.limits,
            answers: AnswerLimits::of_gateway(config.members.len() + fleet.registered.len()),
        })
    }

    pub(crate) fn gateway(&self, name: &str, address: &str) -> Gateway {
        Gateway {
            name: name.to_owned(),
            address: address.to_owned(),
            origin: format!("{}://{address}", self.schemes.of(address)),
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
    use pushring_router::Router;

    use super::*;

    fn gateways(timeout: Duration) -> anyhow::Result<Gateways> {
        let args = GatewayArgs {
            gateway_scheme: None,
            gateway_user: None,
            gateway_password: None,
            gateway_password_file: None,
            gateway_token: None,
            gateway_token_file: None,
            gateway_ca_file: None,
            gateway_cert: None,
            gateway_key: None,
            gateway_timeout: timeout,
            gateway_concurrency: 2,
            limits: Limits {
                max_decision_age: timeout,
                slow_api: timeout,
                max_delete_time: timeout,
                confirm_after: timeout,
                in_flight: timeout,
            },
        };
        let router = Router::parse(br#"{"members":["a:1"]}"#).unwrap();
        let fleet = Fleet {
            router,
            registered: Vec::new(),
            schemes: BTreeMap::new(),
            skipped: Vec::new(),
            changed: None,
        };
        Gateways::new(&args, &fleet)
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
