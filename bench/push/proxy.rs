//! The proxies under comparison. All run pinned to the first core.

mod ablation;
mod bootstrap;
mod envoy;
mod lua;
mod nginx_haproxy;
mod running;
mod variant;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

pub(crate) use ablation::Part;
use anyhow::{Context, Result};
pub(crate) use envoy::start_module;
pub(crate) use running::{Proxy, allow_many_files, made, take_last_core};
pub(crate) use variant::{Kind, RouteBy, Variant, ring};

/// Starts the proxy of `variant` with its files below `dir`, in front of the first `variant.members` of `gateways`.
pub(crate) fn start(variant: &Variant, gateways: &[SocketAddr], dir: &Path) -> Result<Proxy> {
    let dir = dir.join(variant.name.replace([' ', ','], "-"));
    fs::create_dir_all(&dir)?;
    let gateways = gateways.get(..variant.members).context("too few gateways")?;
    match variant.kind {
        Kind::Nginx => nginx_haproxy::nginx(gateways, &dir),
        Kind::Haproxy => nginx_haproxy::haproxy(gateways, &dir),
        kind => envoy::start(kind, gateways, &dir),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pushring_harness::{Mode, Pushgateway};
    use pushring_router::Router;

    use super::*;
    use crate::measure;

    /// Spellings for which the key must be derived from the decoded labels.
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
    fn lua_chooses_the_same_gateway_as_pushring() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let gateways = (0..3).map(|_| Pushgateway::start(dir.path(), &[])).collect::<Result<Vec<_>>>()?;
        let addresses: Vec<_> = gateways.iter().map(|gateway| gateway.address).collect();
        for (name, route_by) in [("Lua", RouteBy::Group), ("Lua, path", RouteBy::Path)] {
            let variant = Variant { name, kind: Kind::Lua(route_by), members: 3 };
            let proxy = start(&variant, &addresses, dir.path())?;
            let (envoy, _) = proxy.envoy()?;
            let router = Router::parse(ring(Mode::Cluster, route_by, &addresses).to_string().as_bytes())?;
            let mut paths = measure::paths(40);
            if route_by == RouteBy::Group {
                paths.extend(SPELLINGS.map(str::to_owned));
            }
            let mut wanted = BTreeMap::new();
            for path in &paths {
                let owner =
                    router.owner_of(path.as_bytes()).and_then(|owned| owned.owner).context("no owner")?;
                let statistic =
                    format!("cluster.pushgateway-{}.upstream_rq_total", owner.name.replace([':', '.'], "_"));
                *wanted.entry(statistic.clone()).or_default() += 1;
                assert_eq!(envoy.client()?.put(path, "")?.status, 200, "{path}");
                assert_eq!(envoy.stat(&statistic)?, wanted.get(&statistic).copied(), "{name} {path}");
            }
        }
        Ok(())
    }
}
