//! The health check that Consul's agent runs for a Pushgateway.

use std::time::Duration;

use serde_json::{Value, json};

use crate::consul::client::Service;
use crate::fleet::address::GatewayAddress;

/// Meta key with the settings of the health check. The agent does not report these, so a change could not be detected
/// otherwise.
const CHECK: &str = "pushring-check";

pub(super) const HEALTHY: &str = "/-/healthy";

/// The mark of a push that an Envoy has routed (docs/configuration.md). With it, a Pushgateway answers as ever, and an Envoy
/// that is a member by mistake does not answer the check for the gateways behind it.
pub(super) const MARK: (&str, &str) = ("cdn-loop", "pushring");

/// Settings of the health check.
#[derive(Clone, Debug)]
pub(super) struct HealthCheck {
    /// Time from one check to the next.
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// Consecutive failures that make the gateway critical.
    pub(crate) failures_before_critical: u32,
    /// Consecutive successes that make it passing.
    pub(crate) success_before_passing: u32,
    /// Time in critical state after which Consul removes it.
    pub(crate) deregister_after: Option<Duration>,
    pub(crate) path_prefix: String,
}

impl HealthCheck {
    /// Returns the URL of a page of the gateway, which begins with a slash.
    pub(super) fn url(&self, target: &GatewayAddress, page: &str) -> String {
        let prefix = self.path_prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("http://{target}{slash}{prefix}{page}")
    }

    /// Describes the check in one line, for people and for comparison.
    fn describe(&self, target: &GatewayAddress) -> String {
        let mut text = format!(
            "GET {} with {}: {} every {}, timeout {}, critical after {}, passing after {}",
            self.url(target, HEALTHY),
            MARK.0,
            MARK.1,
            go_duration(self.interval),
            go_duration(self.timeout),
            self.failures_before_critical,
            self.success_before_passing
        );
        if let Some(after) = self.deregister_after.map(go_duration) {
            text += &format!(", deregistered after {after} critical");
        }
        text
    }

    /// Returns the registration with this check. A registration with the same ID is replaced.
    pub(super) fn definition(&self, service: &str, id: &str, target: &GatewayAddress) -> Value {
        let mut definition = json!({
            "ID": id, "Name": service, "Address": target.host(), "Port": target.port(),
            "Meta": {CHECK: self.describe(target)},
            "Check": {
                "Name": "Pushgateway /-/healthy", "HTTP": self.url(target, HEALTHY), "Header": {MARK.0: [MARK.1]},
                "Interval": go_duration(self.interval), "Timeout": go_duration(self.timeout),
                "FailuresBeforeCritical": self.failures_before_critical,
                "SuccessBeforePassing": self.success_before_passing,
                // A new member gets no pushes until it is healthy. Registering it again keeps its status.
                "Status": "critical",
            },
        });
        if let Some(after) = self.deregister_after.map(go_duration) {
            definition["Check"]["DeregisterCriticalServiceAfter"] = json!(after);
        }
        definition
    }

    /// Returns whether the agent has this check for this target already.
    pub(super) fn is_that_of(&self, service: &str, target: &GatewayAddress, known: &Service) -> bool {
        known.service == service
            && known.address == target.host()
            && known.port == i64::from(target.port())
            && known.meta.get(CHECK) == Some(&self.describe(target))
    }
}

/// Formats a time for Consul: a whole number in the largest unit that fits.
fn go_duration(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let (size, unit) = units.into_iter().find(|(size, _)| millis.is_multiple_of(*size)).unwrap_or((1, "ms"));
    format!("{}{unit}", millis / size)
}
