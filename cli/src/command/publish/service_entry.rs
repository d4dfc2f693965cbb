//! The endpoints of a ServiceEntry of Istio.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, ensure};
use serde_json::{Map, Value, json};

use crate::fleet::render::Endpoint;

/// The endpoints of a ServiceEntry, each by its address and port. An endpoint has fields that are not ours, such as its
/// locality: they stay.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoints {
    by_address: BTreeMap<String, Value>,
    /// Names of the ports; each of them leads to the one port of a gateway.
    ports: Vec<String>,
}

impl Endpoints {
    /// Takes them from a ServiceEntry.
    ///
    /// # Errors
    /// With the field: the ServiceEntry is not one whose endpoints can be listed.
    pub(super) fn of(entry: &Value) -> anyhow::Result<Self> {
        let spec = &entry["spec"];
        let resolution = spec["resolution"].as_str().unwrap_or("NONE");
        ensure!(
            resolution == "STATIC",
            "spec.resolution: found {resolution:?}, expected STATIC, because Envoy compares addresses"
        );
        ensure!(
            spec["workloadSelector"].is_null(),
            "spec.workloadSelector: found one, expected none: it selects the endpoints in place of a list"
        );
        let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names =
            ports.iter().map(|port| Some(port["name"].as_str()?.to_owned())).collect::<Option<Vec<_>>>();
        let names = names.filter(|names| !names.is_empty()).context("spec.ports: found none with a name")?;
        let list = spec["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
        let by_address = list
            .iter()
            .enumerate()
            // An endpoint without an address that a ring can name gets no push; its text only must be unique.
            .map(|(index, one)| {
                (address(one, &ports[0]).unwrap_or(format!("endpoints[{index}]")), one.clone())
            })
            .collect();
        Ok(Self { by_address, ports: names })
    }

    /// Returns the endpoints of these gateways; fields that an endpoint already has stay.
    pub(super) fn with(&self, gateways: &[Endpoint]) -> Self {
        let endpoint = |gateway: &Endpoint| {
            let address = gateway.address();
            let mut fields: Map<String, Value> =
                self.by_address.get(&address).and_then(Value::as_object).cloned().unwrap_or_default();
            let ports: Map<String, Value> =
                self.ports.iter().map(|name| (name.clone(), gateway.port.into())).collect();
            fields.insert("address".to_owned(), gateway.host.clone().into());
            fields.insert("ports".to_owned(), ports.into());
            (address, Value::Object(fields))
        };
        Self { by_address: gateways.iter().map(endpoint).collect(), ports: self.ports.clone() }
    }

    /// Adds those of `other` that `kept` names.
    pub(super) fn and(mut self, other: &Self, kept: &[String]) -> Self {
        let all = other.by_address.iter().filter(|(address, _)| kept.contains(address));
        self.by_address.extend(all.map(|(address, one)| (address.clone(), one.clone())));
        self
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        self.by_address.keys().cloned().collect()
    }

    pub(super) fn names_not_in(&self, others: &Self) -> Vec<String> {
        self.by_address.keys().filter(|name| !others.by_address.contains_key(*name)).cloned().collect()
    }

    /// Returns the fields of a ServiceEntry with them.
    pub(super) fn fields(&self) -> Value {
        let list: Vec<&Value> = self.by_address.values().collect();
        json!({ "spec": { "endpoints": list } })
    }
}

/// Returns the address of an endpoint as a ring has it; `port` is the first port of the ServiceEntry.
fn address(endpoint: &Value, port: &Value) -> Option<String> {
    let ip: IpAddr = endpoint["address"].as_str()?.parse().ok()?;
    let named = port["name"].as_str().map(|name| &endpoint["ports"][name]);
    let number = [named, Some(&port["targetPort"]), Some(&port["number"])];
    let number = number.into_iter().flatten().find_map(Value::as_u64)?;
    Some(SocketAddr::new(ip, u16::try_from(number).ok()?).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::access::Scheme;

    fn entry(spec: &Value) -> Value {
        json!({ "spec": spec })
    }

    fn gateway(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.to_owned(), port, scheme: Scheme::Http }
    }

    #[test]
    fn keeps_fields_of_others() {
        let found = entry(&json!({
            "resolution": "STATIC",
            "ports": [{"name": "http", "number": 9091}, {"name": "mirror", "number": 9092}],
            "endpoints": [
                {"address": "10.0.0.1", "ports": {"http": 80}, "locality": "a/b"},
                {"address": "10.0.0.2"},
                {"address": "fd00::1", "ports": {"http": 81, "mirror": 81}},
                {"address": "unix:///x"},
            ],
        }));
        let now = Endpoints::of(&found).unwrap();
        assert_eq!(
            now.names().into_iter().collect::<Vec<_>>(),
            ["10.0.0.1:80", "10.0.0.2:9091", "[fd00::1]:81", "endpoints[3]"]
        );
        let new = now.with(&[gateway("10.0.0.1", 80), gateway("fd00::2", 9091)]);
        assert_eq!(new.names_not_in(&now), ["[fd00::2]:9091"]);
        assert_eq!(now.names_not_in(&new), ["10.0.0.2:9091", "[fd00::1]:81", "endpoints[3]"]);
        assert_eq!(
            new.and(&now, &["[fd00::1]:81".to_owned()]).fields()["spec"]["endpoints"],
            json!([
                {"address": "10.0.0.1", "locality": "a/b", "ports": {"http": 80, "mirror": 80}},
                {"address": "fd00::1", "ports": {"http": 81, "mirror": 81}},
                {"address": "fd00::2", "ports": {"http": 9091, "mirror": 9091}},
            ])
        );
    }

    #[test]
    fn names_the_field() {
        for (spec, field) in [
            (json!({}), "spec.resolution: found \"NONE\""),
            (json!({"resolution": "DNS"}), "spec.resolution: found \"DNS\""),
            (json!({"resolution": "STATIC"}), "spec.ports"),
            (json!({"resolution": "STATIC", "ports": [{"number": 1}]}), "spec.ports"),
            (json!({"resolution": "STATIC", "workloadSelector": {}}), "spec.workloadSelector"),
        ] {
            let error = Endpoints::of(&entry(&spec)).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
