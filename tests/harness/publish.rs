//! Publishes a ring as consul-template does: rendered into the staging folder, then `pushring publish`, here its library.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use pushring::envoy_admin::Admin;
use pushring::publish::{self, Options, RING_FILE, Report};
use serde_json::Value;

use crate::layout::Layout;
use crate::live;

impl Layout {
    /// Renders the files of a configuration and publishes them, with the times that the command has by default. Without
    /// `admin` Envoy is not asked, as before it starts.
    ///
    /// # Errors
    /// When a file cannot be written, the configuration is refused or Envoy does not follow.
    pub fn publish(&self, config: &Value, admin: Option<SocketAddr>) -> Result<Report> {
        let staged = self.staged();
        let dir = staged.parent().and_then(|dir| dir.to_str()).context("the folder's name is not UTF-8")?;
        // In one line: that of a reader would have to keep to the indentation of YAML.
        let json = config.to_string();
        let mut files = vec![(RING_FILE, live::ring(self.mode(), &json)?)];
        let upstreams = live::upstreams(self.mode(), &live::members(&json))?;
        files.extend(self.mode().upstream_file().zip(upstreams));
        for (file, text) in files {
            fs::write(staged.join(file), text.replace("/etc/pushring", dir))?;
        }
        publish::publish(&Options {
            staged,
            live: self.live(),
            admin: admin.map(|admin| format!("http://{admin}").parse::<Admin>()).transpose()?,
            grace: Duration::from_secs(2),
            delay: Duration::from_millis(500),
            timeout: Duration::from_secs(10),
        })
    }
}
