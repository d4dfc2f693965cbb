//! The series of each member. A member that left must disappear, which the recorder of the other metrics cannot do.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use pushring_router::{Config, Router};
use serde_json::Value;

use crate::fleet::members::{Members, Settings};

const INFO: &str = "\
# HELP pushring_member_info The registered members, passing or not: address, and cluster in Envoy.
# TYPE pushring_member_info gauge
";
const SHARE: &str = "\
# HELP pushring_member_share Share of the groups that the live ring gives to each member, 0 to 1.
# TYPE pushring_member_share gauge
";

/// The series as they are now.
#[derive(Debug, Default)]
pub(super) struct MemberSeries {
    info: String,
    share: String,
    /// Whether the shares are those of the live ring.
    ring_read: bool,
    page: Page,
}

/// The series as text, for the server of the metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct Page(Arc<Mutex<String>>);

impl Page {
    pub(super) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl MemberSeries {
    pub(super) fn page(&self) -> Page {
        self.page.clone()
    }

    /// Replaces the registered members.
    pub(super) fn members(&mut self, members: &Members, settings: &Settings) {
        let prefix = settings.cluster_prefix();
        let mode = settings.filter.get("mode").and_then(Value::as_str);
        self.info = INFO.to_owned();
        for cluster in &members.clusters {
            let member = cluster.name.strip_prefix(prefix).unwrap_or(&cluster.name);
            let in_envoy = match mode {
                Some("endpoint") => "pushgateway",
                Some("redirect") => "",
                _ => cluster.name.as_str(),
            };
            let labels =
                [("member", member), ("address", &cluster.endpoint.address()), ("cluster", in_envoy)];
            series(&mut self.info, "pushring_member_info", &labels, "1");
        }
        self.show();
    }

    /// Says that the live ring is another one than [`MemberSeries::ring`] read last.
    pub(super) fn ring_changed(&mut self) {
        self.ring_read = false;
    }

    /// Reads the shares of the live ring if it changed.
    pub(super) fn ring(&mut self, live: impl FnOnce() -> Option<Config>) {
        if self.ring_read {
            return;
        }
        let Some(Ok(router)) = live().map(Router::new) else { return };
        self.share = SHARE.to_owned();
        for (member, share) in router.config().members.iter().zip(router.shares()) {
            series(&mut self.share, "pushring_member_share", &[("member", &member.name)], &share.to_string());
        }
        self.ring_read = true;
        self.show();
    }

    fn show(&self) {
        *self.page.0.lock().unwrap_or_else(PoisonError::into_inner) = format!("{}{}", self.info, self.share);
    }
}

fn series(text: &mut String, name: &str, labels: &[(&str, &str)], value: &str) {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    // Writing to a string never fails.
    let _ = writeln!(text, "{name}{{{}}} {value}", labels.join(","));
}
