//! The agent's registration in Consul: a service with a TTL check, whose status the agent reports.

use serde_json::{Value, json};

use super::check::State;
use super::store::{Done, Store};
use crate::command::register::health_check::HealthCheck;
use crate::command::register::services;
use crate::consul::client::{Consul, Service};
use crate::consul::leaving::LEAVING;
use crate::fleet::address::GatewayAddress;

/// The gateway of the registration.
pub(super) struct Gateway {
    pub(super) service: String,
    pub(super) address: GatewayAddress,
    pub(super) check: HealthCheck,
    /// `None`: as it is registered, else 1.
    pub(super) weight: Option<u8>,
    /// `None`: as it is registered, else the address.
    pub(super) name: Option<String>,
}

/// A service with a check.
pub(super) struct TtlCheck {
    consul: Consul,
    gateway: Gateway,
    id: String,
    ttl: String,
    /// The last registration without its check, for an agent of Consul that was restarted without memory.
    definition: Option<Value>,
    /// As last reported; at first, no push may reach the gateway.
    status: &'static str,
}

impl TtlCheck {
    /// Sends no request.
    pub(super) fn new(consul: Consul, gateway: Gateway, seconds: u64) -> Self {
        let id = services::id(&gateway.address);
        Self { consul, gateway, id, ttl: format!("{seconds}s"), definition: None, status: "critical" }
    }

    fn check_id(&self) -> String {
        format!("pushring:{}", self.id)
    }

    fn register(&mut self, leaving: bool) -> anyhow::Result<()> {
        let Gateway { service, address, .. } = &self.gateway;
        let mut definition = match services::replaced(&self.consul, service, address)? {
            Some(known) => self.definition(Some(&known)),
            None => self.definition.take().unwrap_or_else(|| self.definition(None)),
        };
        self.definition = Some(definition.clone());
        if leaving {
            definition["Meta"][LEAVING] = json!("true");
        }
        definition["Check"] = json!({
            "CheckID": self.check_id(), "Name": "Pushgateway, by pushring register --stay", "TTL": self.ttl,
            "Status": self.status,
        });
        self.consul.register(&definition)
    }

    fn definition(&self, replaced: Option<&Service>) -> Value {
        let Gateway { service, address, check, weight, name } = &self.gateway;
        let mut definition = check.definition(service, &self.id, address, replaced);
        definition["Meta"]["pushring-check"] = json!("by pushring register --stay");
        if let Some(meta) = definition["Meta"].as_object_mut() {
            meta.remove(LEAVING);
        }
        if let Some(weight) = weight {
            definition["Weights"] = json!({"Passing": weight, "Warning": 1});
        }
        if let Some(name) = name {
            definition["Meta"]["pushring-name"] = json!(name);
        }
        definition
    }

    fn update(&self, output: &str) -> anyhow::Result<bool> {
        self.consul.update_check(&self.check_id(), self.status, output)
    }
}

impl Store for TtlCheck {
    fn keep(&mut self, state: &State) -> anyhow::Result<Done> {
        match state.passing {
            Some(true) => self.status = "passing",
            Some(false) => self.status = "critical",
            None => return Ok(Done::Absent),
        }
        if self.definition.is_some() && self.update(&state.output)? {
            return Ok(Done::Renewed);
        }
        // New here, or Consul's agent was restarted without memory.
        self.register(false)?;
        self.update(&state.output)?;
        Ok(Done::Registered)
    }

    fn announce(&mut self) -> anyhow::Result<()> {
        self.register(true)?;
        self.update("it leaves").map(drop)
    }

    fn remove(&mut self) -> anyhow::Result<()> {
        self.consul.deregister(&self.id)
    }
}
