//! The health check that Consul's agent runs for a Pushgateway.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::consul::client::Service;
use crate::consul::leaving::LEAVING;
use crate::fleet::address::GatewayAddress;
use crate::gateway::client::MARK;

/// Meta key with the settings of the health check. The agent does not report these, so a change could not be detected
/// otherwise.
const CHECK: &str = "pushring-check";
/// Meta key with the protocol, from which `publish` and `--consul` learn it.
pub(super) const SCHEME: &str = "pushring-scheme";

pub(super) const HEALTHY: &str = "/-/healthy";

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
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// Further headers, such as credentials.
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) tls_server_name: Option<String>,
    pub(crate) tls_skip_verify: bool,
}

impl HealthCheck {
    /// Returns the URL of a page of the gateway, which begins with a slash.
    pub(super) fn url(&self, target: &GatewayAddress, page: &str) -> String {
        let prefix = self.path_prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{}://{target}{slash}{prefix}{page}", self.scheme)
    }

    /// Describes the check in one line, for people and for comparison. It has the names of the headers and not their values,
    /// because everyone with service:read can read it.
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
        for name in self.headers.keys() {
            text += &format!(", with header {name}");
        }
        if let Some(name) = &self.tls_server_name {
            text += &format!(", TLS server name {name}");
        }
        if self.tls_skip_verify {
            text += ", accepts any certificate";
        }
        if let Some(after) = self.deregister_after.map(go_duration) {
            text += &format!(", deregistered after {after} critical");
        }
        text
    }

    /// Returns the registration with this check. A registration with the same ID is replaced; name, weight and tags of
    /// `replaced` stay, because they decide which groups it owns.
    pub(super) fn definition(
        &self,
        service: &str,
        id: &str,
        target: &GatewayAddress,
        replaced: Option<&Service>,
    ) -> Value {
        let mut definition = json!({
            "ID": id, "Name": service, "Address": target.host(), "Port": target.port(),
            "Meta": self.meta(target, replaced),
            "Check": {
                "Name": "Pushgateway /-/healthy", "HTTP": self.url(target, HEALTHY), "Header": {MARK.0: [MARK.1]},
                "Interval": go_duration(self.interval), "Timeout": go_duration(self.timeout),
                "FailuresBeforeCritical": self.failures_before_critical,
                "SuccessBeforePassing": self.success_before_passing,
                // A new member gets no pushes until it is healthy. Registering it again keeps its status.
                "Status": "critical",
            },
        });
        if let Some(replaced) = replaced {
            let fields = [("Tags", &replaced.tags), ("Weights", &replaced.weights)];
            for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
                definition[field] = value.clone();
            }
            definition["EnableTagOverride"] = json!(replaced.enable_tag_override);
        }
        for (name, values) in &self.headers {
            definition["Check"]["Header"][name] = json!(values);
        }
        if let Some(name) = &self.tls_server_name {
            definition["Check"]["TLSServerName"] = json!(name);
        }
        if self.tls_skip_verify {
            definition["Check"]["TLSSkipVerify"] = json!(true);
        }
        if let Some(after) = self.deregister_after.map(go_duration) {
            definition["Check"]["DeregisterCriticalServiceAfter"] = json!(after);
        }
        definition
    }

    /// Without TLS there is no entry for the scheme, so that registrations of earlier versions stay unchanged.
    fn meta(&self, target: &GatewayAddress, replaced: Option<&Service>) -> BTreeMap<String, String> {
        let mut meta = replaced.map(|replaced| replaced.meta.clone()).unwrap_or_default();
        // A removal that was announced and did not happen.
        meta.remove(LEAVING);
        meta.insert(CHECK.to_owned(), self.describe(target));
        if self.scheme == "http" {
            meta.remove(SCHEME);
        } else {
            meta.insert(SCHEME.to_owned(), self.scheme.clone());
        }
        meta
    }

    /// Returns whether the agent has this check for this target already. It does not report the values of headers, so a check
    /// with headers always counts as changed.
    pub(super) fn is_that_of(&self, service: &str, target: &GatewayAddress, known: &Service) -> bool {
        self.headers.is_empty()
            && known.service == service
            && known.address == target.host()
            && known.port == i64::from(target.port())
            && !known.meta.contains_key(LEAVING)
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
