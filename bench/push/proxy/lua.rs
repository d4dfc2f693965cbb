//! What a team would write without Wasm: pushring's ring and hash in Envoy's Lua filter.

use std::fmt::Write;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::RouteBy;

const RING: &str = include_str!("../../lua/ring.lua");
/// The key that pushring makes of a push path.
const BY_GROUP: &str = include_str!("../../lua/group.lua");
/// The path as received: another owner for each spelling of a group.
const BY_PATH: &str = "local function key_of(path) return path end\n";

pub(super) fn filter(route_by: RouteBy, gateways: &[SocketAddr]) -> Value {
    let mut code = "local members = {".to_owned();
    for gateway in gateways {
        let _ = write!(code, "\"{gateway}\",");
    }
    code.push_str("}\n");
    code.push_str(if route_by == RouteBy::Group { BY_GROUP } else { BY_PATH });
    code.push_str(RING);
    json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": code},
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anyhow::{Context, Result};
    use pushring_router::Router;
    use pushring_tests::{Mode, Pushgateway};

    use super::RouteBy;
    use crate::measure;
    use crate::proxy::{Kind, Proxy, Running, Variant, envoy};

    /// Spellings that the key of a group must see through.
    const SPELLINGS: [&str; 8] = [
        "/metrics/job/x",
        "/metrics/job/x/",
        "/metrics/job/x/b/1/a/2",
        "/metrics/job/x/a/1/a/2",
        "/metrics/job/x/a/",
        "/metrics/job/x/job/y",
        "/metrics/job/my%20job/a/%41?b=c",
        "/metrics/job@base64/bXkgam9iPg==/a@base64/Pz8_YT8-",
    ];

    #[test]
    fn names_the_gateway_that_pushring_would() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let gateways = (0..3).map(|_| Pushgateway::start(dir.path(), &[])).collect::<Result<Vec<_>>>()?;
        let addresses: Vec<_> = gateways.iter().map(|gateway| gateway.address).collect();
        for (name, route_by) in [("Lua", RouteBy::Group), ("Lua, path", RouteBy::Path)] {
            let variant = Variant { name, kind: Kind::Lua(route_by), members: 3, often: false };
            let proxy = Proxy::start(&variant, &addresses, dir.path())?;
            let Running::Envoy(envoy) = &proxy.running else { anyhow::bail!("no Envoy") };
            let router =
                Router::parse(envoy::ring(Mode::Cluster, route_by, &addresses).to_string().as_bytes())?;
            let mut paths = measure::paths(40);
            if route_by == RouteBy::Group {
                paths.extend(SPELLINGS.map(str::to_owned));
            }
            let mut wanted = BTreeMap::new();
            for path in &paths {
                let owner =
                    router.owner_of(path.as_bytes()).and_then(|owned| owned.owner).context("an owner")?;
                let statistic =
                    format!("cluster.pushgateway-{}.upstream_rq_total", owner.name.replace(':', "_"));
                *wanted.entry(statistic.clone()).or_default() += 1;
                assert_eq!(envoy.client()?.put(path, "")?.status, 200, "{path}");
                assert_eq!(envoy.stat(&statistic)?, wanted.get(&statistic).copied(), "{name} {path}");
            }
        }
        Ok(())
    }
}
