//! The addresses behind a service, chosen as `kube-proxy` chooses them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use super::kubelet::{list, text};

/// Returns the ready endpoints of EndpointSlices by the names of their pods. If there is none, those that end but still serve.
pub(crate) fn ready(slices: &Value) -> BTreeMap<String, SocketAddr> {
    let all = || {
        list(&slices["items"]).iter().flat_map(|slice| {
            list(&slice["endpoints"]).iter().map(|endpoint| (&slice["ports"][0]["port"], endpoint))
        })
    };
    let with = |condition: &str| {
        let chosen = all().filter(|(_, endpoint)| endpoint["conditions"][condition] == true);
        chosen
            .map(|(port, endpoint)| {
                let ip = text(&endpoint["addresses"][0]).parse().expect("an address");
                let port = u16::try_from(port.as_u64().expect("a port")).expect("a port");
                (text(&endpoint["targetRef"]["name"]), SocketAddr::new(ip, port))
            })
            .collect::<BTreeMap<_, _>>()
    };
    let ready = with("ready");
    if ready.is_empty() { with("serving") } else { ready }
}
