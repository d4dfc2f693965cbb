//! Publishes a ring with the library of `pushring publish`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use pushring::command::publish::{self, Options, Report};
use pushring::fleet::members::Members;
use serde_json::Value;

use crate::envoy_dir::Layout;

impl Layout {
    /// Publishes a configuration with the command's default durations. Without `admin` it does not ask Envoy, as
    /// before Envoy's start.
    ///
    /// # Errors
    /// A file cannot be written, the filter would reject the configuration, or Envoy does not follow.
    pub fn publish(&self, config: &Value, admin: Option<SocketAddr>) -> Result<Report> {
        let admin = admin.map(|admin| format!("http://{admin}"));
        publish::publish(
            &Members::from_config(&config.to_string())?,
            &self.publish_options(admin.as_deref())?,
        )
    }

    /// Returns the command's default options for this folder; `admin` is the URL of Envoy's admin interface.
    ///
    /// # Errors
    /// `admin` is no such URL.
    pub fn publish_options(&self, admin: Option<&str>) -> Result<Options> {
        Ok(Options {
            live: self.live(),
            module: self.module(),
            admin: admin.map(str::parse).transpose()?.into_iter().collect(),
            grace: Duration::from_secs(2),
            delay: Duration::from_millis(500),
            timeout: Duration::from_secs(120),
        })
    }
}
