//! TLS, passwords and tokens, with real certificates and real clients: from clients to Envoy, from Envoy and the command to
//! the gateways, and to Consul.

mod certificates;
mod consul;
mod curl;
mod fleet;
mod front;
mod gateways;
mod jobs;
mod mutual;
mod passwords;
mod sweeper;
mod tls;
mod tokens;
mod units;
