//! The configuration: that of the original metric-index as it is, its misspelled names included, and more fields. Everything
//! is optional: a section that is there is used, one that is absent is not.

mod catalogue;
#[cfg(test)]
mod documented;
mod limits;
mod log;
mod read;
mod remote;
mod servers;
mod store;

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

pub(crate) use catalogue::Catalogue;
pub(crate) use limits::Limits;
pub(crate) use log::{Level, Log};
pub(crate) use remote::{Charset, Remote, Send, Spool, Write};
pub(crate) use servers::{Mysql, Redis};
pub(crate) use store::{Cache, Consumer, MetricStore, OffsetType, Producer};

/// The port of the original.
const PORT: u16 = 7001;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) app: App,
    pub(crate) log: Log,
    pub(crate) mysql: Option<Mysql>,
    pub(crate) redis: Option<Redis>,
    pub(crate) metric_store: MetricStore,
    pub(crate) remote: Remote,
    pub(crate) catalogue: Catalogue,
    pub(crate) limits: Limits,
}

/// The process.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct App {
    /// The name of the original in its traces; no effect here.
    pub(crate) name: Option<String>,
    /// `prod` or `dev` in the original; no effect here.
    pub(crate) mode: Option<String>,
    pub(crate) role_type: Role,
    /// Port on all addresses, as in the original.
    pub(crate) port: Option<u16>,
    /// Address and port; wins over `port`.
    pub(crate) listen: Option<SocketAddr>,
}

/// The part of the work that this process does.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    #[default]
    All,
    #[serde(alias = "producer")]
    Gateway,
    #[serde(alias = "consummer", alias = "consumer")]
    Indexer,
}

impl Config {
    /// Returns the address to listen on: 127.0.0.1:7001 if the file names none.
    pub(crate) fn listen(&self) -> SocketAddr {
        let port = self.app.port.map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
        self.app.listen.or(port).unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))
    }

    /// Returns whether one process keeps everything, without Redis, Kafka and MySQL.
    pub(crate) fn is_embedded(&self) -> bool {
        let store = &self.metric_store;
        self.redis.is_none() && self.mysql.is_none() && store.producer.is_none() && store.consumer.is_none()
    }

    /// Returns the target of remote writes of this process.
    pub(crate) fn target(&self) -> Option<&Write> {
        self.remote.write.as_ref().filter(|_| self.app.role_type != Role::Indexer)
    }

    /// Returns the topics that this process reads.
    pub(crate) fn consumer(&self) -> Option<&Consumer> {
        self.metric_store.consumer.as_ref().filter(|_| self.app.role_type != Role::Gateway)
    }

    /// Returns one line for people; no secrets.
    pub(crate) fn summary(&self) -> String {
        let role = match self.app.role_type {
            Role::All => "all",
            Role::Gateway => "gateway",
            Role::Indexer => "indexer",
        };
        let mut parts = vec![format!("role {role}"), format!("listens on {}", self.listen())];
        if self.is_embedded() {
            parts.push(format!("embedded, data in {}", self.catalogue.path.display()));
        }
        let optional = [
            ("Redis", self.redis.is_some()),
            ("Kafka", self.metric_store.producer.is_some() || self.metric_store.consumer.is_some()),
            ("MySQL", self.mysql.is_some()),
            ("forwards writes", self.remote.write.is_some()),
            ("forwards puts", self.remote.send.is_some()),
        ];
        parts.extend(optional.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name.to_owned()));
        parts.join(", ")
    }
}
