//! A Pushgateway as a registry lists it, and the file in which consul-template hands the list over.

use std::fmt;

use serde::Deserialize;

/// One registered Pushgateway, whatever its health. `fleet::members` decides which of them are on the ring.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Host name or IP address, without a port. Consul: the node's address if the service has none.
    pub address: String,
    /// Port; 0 if none is registered.
    pub port: u32,
    /// Worst status of the health checks. Only `passing` is on the ring.
    #[serde(default = "passing")]
    pub status: String,
    /// Weight while passing.
    #[serde(default = "one")]
    pub weight: i64,
    /// Identity on the ring (Consul: the service's meta `pushring-name`). Empty: the address and the port.
    #[serde(default)]
    pub name: String,
    /// Node that hosts the service; empty if unknown. For messages only.
    #[serde(default)]
    pub node: String,
    /// ID of the service, unique on its node; empty if unknown. For messages only.
    #[serde(default)]
    pub id: String,
}

/// Names the registration for a message: `<id> on <node>`, or its address if it has no ID.
impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id.as_str() {
            "" => write!(f, "{}:{}", self.address, self.port)?,
            id => f.write_str(id)?,
        }
        if self.node.is_empty() { Ok(()) } else { write!(f, " on {}", self.node) }
    }
}

impl Registration {
    /// Parses the file that consul-template renders: `{"registrations": [{"address": "10.0.0.1", "port": 9091}]}`,
    /// with any of the other fields of [`Registration`]. Further fields next to `registrations` are ignored.
    ///
    /// # Errors
    /// The position, the field and the accepted values.
    pub fn parse_all(json: &str) -> serde_json::Result<Vec<Self>> {
        #[derive(Deserialize)]
        struct Document {
            registrations: Vec<Registration>,
        }
        Ok(serde_json::from_str::<Document>(json)?.registrations)
    }
}

fn passing() -> String {
    "passing".to_owned()
}

const fn one() -> i64 {
    1
}
