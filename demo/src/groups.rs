//! The groups that the demo pushes, each in several spellings.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use pushring_harness::http::Client;

/// Number of pushes of each spelling.
const ROUNDS: usize = 5;
/// Prefix of the metric in each push. POST keeps the metrics of earlier pushes, so that their number on a Pushgateway
/// is the number of its pushes.
pub(crate) const METRIC: &str = "pushed_";

/// A group and its spellings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// Its labels, `job` first.
    pub(crate) labels: &'static [(&'static str, &'static str)],
    /// Push paths.
    pub(crate) spellings: &'static [&'static str],
}

impl Group {
    /// Returns the number of pushes to the group.
    pub(crate) fn pushes(self) -> usize {
        ROUNDS * self.spellings.len()
    }

    /// Formats the labels.
    pub(crate) fn text(self) -> String {
        self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }
}

/// Names of base64 values end in `@base64`; padding (`=`) is optional.
pub(crate) const GROUPS: &[Group] = &[
    Group {
        labels: &[("job", "backup"), ("instance", "db1")],
        spellings: &[
            "/metrics/job/backup/instance/db1",
            "/metrics/job@base64/YmFja3Vw/instance/db1",
            "/metrics/job/backup/instance@base64/ZGIx",
            "/metrics/job/%62ackup/instance/db%31",
        ],
    },
    Group {
        labels: &[("job", "backup"), ("instance", "db2")],
        spellings: &["/metrics/job/backup/instance/db2", "/metrics/job/backup/instance@base64/ZGIy"],
    },
    Group {
        labels: &[("job", "backup"), ("instance", "db3")],
        spellings: &["/metrics/job/backup/instance/db3", "/metrics/job@base64/YmFja3Vw/instance@base64/ZGIz"],
    },
    Group {
        labels: &[("job", "cleanup")],
        spellings: &[
            "/metrics/job/cleanup",
            "/metrics/job/cleanup/",
            "/metrics/job@base64/Y2xlYW51cA",
            "/metrics/job@base64/Y2xlYW51cA==",
        ],
    },
    Group {
        labels: &[("job", "report"), ("team", "billing"), ("region", "eu")],
        spellings: &[
            "/metrics/job/report/team/billing/region/eu",
            "/metrics/job/report/region/eu/team/billing",
            "/metrics/job/report/region/us/team/billing/region/eu",
        ],
    },
    Group {
        labels: &[("job", "report"), ("team", "billing"), ("region", "us")],
        spellings: &[
            "/metrics/job/report/team/billing/region/us",
            "/metrics/job/report/region/us/team/billing",
        ],
    },
    Group {
        labels: &[("job", "deploy"), ("repo", "shop"), ("branch", "main"), ("stage", "test")],
        spellings: &[
            "/metrics/job/deploy/repo/shop/branch/main/stage/test",
            "/metrics/job/deploy/branch/main/repo/shop/stage/test",
            "/metrics/job/deploy/stage/test/repo/shop/branch/main",
            "/metrics/job/deploy/stage/test/branch@base64/bWFpbg==/repo/shop",
        ],
    },
    Group {
        labels: &[("job", "nightly import")],
        spellings: &["/metrics/job/nightly%20import", "/metrics/job@base64/bmlnaHRseSBpbXBvcnQ="],
    },
    Group {
        labels: &[("job", "weather"), ("city", "Zürich")],
        spellings: &[
            "/metrics/job/weather/city/Z%C3%BCrich",
            "/metrics/job/weather/city/Z%c3%bcrich",
            "/metrics/job/weather/city@base64/WsO8cmljaA",
        ],
    },
    Group {
        labels: &[("job", "du"), ("path", "/var/tmp")],
        spellings: &["/metrics/job/du/path@base64/L3Zhci90bXA", "/metrics/job/du/path@base64/L3Zhci90bXA="],
    },
];

/// Pushes every spelling of every group [`ROUNDS`] times.
///
/// # Errors
/// If a push is not accepted.
pub(crate) fn push(envoy: SocketAddr) -> Result<()> {
    let client = Client::new(envoy)?;
    for group in GROUPS {
        for push in 0..group.pushes() {
            let path = group.spellings.get(push % group.spellings.len()).context("a group without a path")?;
            push_one(&client, path, format!("{METRIC}{push} 1\n"))?;
        }
    }
    Ok(())
}

/// Pushes once and follows a redirect, as `curl -L` does.
fn push_one(client: &Client, path: &str, metrics: String) -> Result<()> {
    let mut answer = client.post(path, metrics.clone())?;
    if answer.status == 307 {
        let location = answer.header("location").context("a 307 without a location")?;
        let owner = location.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
        let (address, path) = owner.with_context(|| format!("location: {location}"))?;
        answer = Client::new(address.parse()?)?.post(&format!("/{path}"), metrics)?;
    }
    ensure!(
        matches!(answer.status, 200 | 202),
        "POST {path} was answered {}: {}",
        answer.status,
        answer.text()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pushring_router::Router;

    use super::*;

    #[test]
    fn the_spellings_of_a_group_have_its_labels() {
        let router = Router::parse(br#"{"members": ["127.0.0.1:1"]}"#).unwrap();
        for group in GROUPS {
            let wanted: BTreeSet<(Vec<u8>, Vec<u8>)> =
                group.labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            for path in group.spellings {
                let labels = router.group(path.as_bytes()).unwrap().labels.unwrap();
                assert_eq!(BTreeSet::from_iter(labels), wanted, "{path}");
            }
            let paths: BTreeSet<_> = group.spellings.iter().collect();
            assert_eq!(paths.len(), group.spellings.len(), "a path twice: {group:?}");
        }
    }

    #[test]
    fn lists_no_group_twice() {
        let labels: BTreeSet<BTreeSet<_>> = GROUPS.iter().map(|g| g.labels.iter().collect()).collect();
        assert_eq!(labels.len(), GROUPS.len());
    }
}
