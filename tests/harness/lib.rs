//! Starts the real servers that pushring works with, on free ports and in a folder of the caller, and stops them when
//! dropped. The end-to-end suites, the demo, `make chaos` and the benchmarks use it.
//!
//! All calls block. Errors are `anyhow` texts for the person who runs a test or the demo; fixtures panic instead.

pub mod abuse;
pub mod alertmanager;
pub mod chaos;
pub mod command;
pub mod consul;
pub mod consul_fixture;
pub mod delaying_proxy;
pub mod dnsmasq;
pub mod envoy;
pub mod envoy_dir;
pub mod envoy_files;
pub mod envoy_fixture;
pub mod etcd;
pub mod every_type;
pub mod exposed;
pub mod gateway_fixture;
pub mod haproxy;
pub mod http;
pub mod kafka;
pub mod kubernetes;
pub mod load;
pub mod machine;
pub mod mariadb;
pub mod network;
pub mod poll;
pub mod ports;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod proto;
mod publish;
pub mod pushgateway;
pub mod raw_server;
pub mod redis;
pub mod server;
pub mod slow;
pub mod templates;
pub mod tools;
pub mod victim;
pub mod victoriametrics;
pub mod witness;

pub use consul::{Consul, ConsulTemplate};
pub use consul_fixture::ConsulFixture;
pub use delaying_proxy::{DelayingProxy, Shift};
pub use envoy::Envoy;
pub use envoy_dir::{Layout, Ports};
pub use envoy_files::{Member, Mode};
pub use envoy_fixture::EnvoyFixture;
pub use etcd::Etcd;
pub use gateway_fixture::GatewayFixture;
pub use kafka::Kafka;
pub use kubernetes::Kubernetes;
pub use mariadb::MariaDb;
pub use poll::poll_until;
pub use process::Process;
pub use prometheus::Prometheus;
pub use pushgateway::Pushgateway;
pub use redis::Redis;
pub use templates::Templates;
pub use victim::Victim;
pub use victoriametrics::{VictoriaMetrics, VmAgent};
pub use witness::Witness;
