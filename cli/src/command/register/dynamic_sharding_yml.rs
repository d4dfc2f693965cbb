//! Reads `dynamic-sharding.yml`, the configuration file of ning1875/dynamic-sharding, as that program does: unknown fields
//! are an error.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::error::BadInput;
use crate::file;
use crate::parse;
use crate::text;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with pushgateway")]
pub(crate) struct DynamicSharding {
    #[serde(default)]
    pub(crate) consul_server: ConsulServer,
    /// Listen address of dynamic-sharding; ignored, because Envoy listens now.
    #[serde(default)]
    pub(crate) http_listen_addr: Option<String>,
    pub(crate) pushgateway: Pushgateways,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with addr")]
pub(crate) struct ConsulServer {
    /// `host:port` of the agent.
    #[serde(default)]
    pub(crate) addr: Option<String>,
    /// Never used by dynamic-sharding.
    #[serde(default)]
    pub(crate) username: Option<String>,
    /// Never used by dynamic-sharding.
    #[serde(default)]
    pub(crate) password: Option<String>,
    #[serde(default)]
    pub(crate) register_service_name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with port and servers")]
pub(crate) struct Pushgateways {
    /// Port of all servers.
    pub(crate) port: u16,
    /// Hosts without port.
    pub(crate) servers: Vec<String>,
}

impl DynamicSharding {
    /// Reads the file. An invalid file is a [`BadInput`] with line and field.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = text::path(path);
        let text = file::read_text(path).with_context(|| BadInput(name.to_string()))?;
        Ok(parse::yaml(&text).map_err(|error| BadInput(format!("{name}: {error}")))?)
    }

    /// Returns a warning for each setting that is ignored.
    pub(crate) fn ignored(&self) -> Vec<String> {
        let mut ignored = Vec::new();
        if is_given(self.consul_server.username.as_deref())
            || is_given(self.consul_server.password.as_deref())
        {
            ignored.push(
                "consul_server.username and .password are ignored, as dynamic-sharding ignores them; \
                 for an ACL token set CONSUL_HTTP_TOKEN"
                    .to_owned(),
            );
        }
        if is_given(self.http_listen_addr.as_deref()) {
            ignored.push(
                "http_listen_addr is ignored, because Envoy listens now; see its listener `push`".to_owned(),
            );
        }
        ignored
    }
}

fn is_given(value: Option<&str>) -> bool {
    value.is_some_and(|text| !text.is_empty())
}
