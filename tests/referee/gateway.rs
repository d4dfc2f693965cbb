//! One Pushgateway that gets one path at a time.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use pushring_harness::pushgateway::Pushgateway;
use pushring_harness::{http, poll_until};
use tempfile::TempDir;

/// Names and values, sorted by name.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// In place of a status: the connection was closed.
pub(crate) const NO_ANSWER: u16 = 0;

/// The reaction of the gateway to a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Stores a group with these labels.
    Stored(Pairs),
    /// Answers 400 and stores nothing.
    Refused,
    /// Answers 400, or not at all, keeps a stub, and is broken until the stub is deleted.
    Poisoned,
    /// Redirects to this location.
    Redirected(Vec<u8>),
    /// Answers another status, because the path is not a push path.
    Other(u16),
}

impl Verdict {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Stored(_) => "stored",
            Self::Refused => "refused",
            Self::Poisoned => "poisoned",
            Self::Redirected(_) => "redirected",
            Self::Other(_) => "other",
        }
    }
}

/// A Pushgateway that stores no group between two pushes.
pub(crate) struct Gateway {
    server: Pushgateway,
    prefix: String,
    _dir: TempDir,
}

impl Gateway {
    /// A running Pushgateway with this prefix; `dir` is removed after it.
    pub(crate) fn of(server: Pushgateway, prefix: &str, dir: TempDir) -> Self {
        Self { server, prefix: prefix.to_owned(), _dir: dir }
    }

    /// Pushes one metric to `path`, byte for byte.
    pub(crate) fn push(&self, path: &[u8]) -> Result<Verdict> {
        let (status, location, _) = self.send("PUT", path, "m 1\n")?;
        // The gateway answers a PUT after it stored the group.
        let groups = self.groups()?;
        ensure!(groups.len() <= 1, "the gateway was not empty: {groups:?}");
        Ok(match (status, groups.into_iter().next()) {
            (200, Some(labels)) => Verdict::Stored(labels),
            (400, None) => Verdict::Refused,
            // 1.11.0 closes the connection.
            (400 | NO_ANSWER, Some(_)) => {
                ensure!(self.scrape()? == 500, "a stub that breaks nothing, of {:?}", path.escape_ascii());
                Verdict::Poisoned
            }
            // 301 if it was built with Go before 1.26.
            (301 | 307, None) => Verdict::Redirected(location.context("a redirect without a location")?),
            (status @ (404 | 405), None) => Verdict::Other(status),
            other => anyhow::bail!("{}: the gateway gave {other:?}", path.escape_ascii()),
        })
    }

    /// Deletes the only group by any spelling of its path and checks that the gateway works.
    pub(crate) fn delete(&self, path: &[u8]) -> Result<()> {
        let (status, _, text) = self.send("DELETE", path, "")?;
        ensure!(status == 202, "DELETE {}: {status} {}", path.escape_ascii(), text.escape_ascii());
        // The gateway answers before it deletes.
        poll_until("the group to be gone", || self.groups().ok()?.is_empty().then_some(()))
            .with_context(|| format!("DELETE {}", path.escape_ascii()))?;
        let status = self.scrape()?;
        ensure!(status == 200, "after DELETE {}: /metrics answers {status}", path.escape_ascii());
        Ok(())
    }

    fn scrape(&self) -> Result<u16> {
        Ok(self.send("GET", format!("{}/metrics", self.prefix).as_bytes(), "")?.0)
    }

    fn groups(&self) -> Result<Vec<Pairs>> {
        let (status, _, body) = self.send("GET", format!("{}/api/v1/metrics", self.prefix).as_bytes(), "")?;
        ensure!(status == 200, "/api/v1/metrics answers {status}");
        let json: serde_json::Value = serde_json::from_slice(&body)?;
        let groups = json["data"].as_array().context("no data")?;
        let pairs = |group: &serde_json::Value| -> Result<Pairs> {
            let labels: BTreeMap<String, String> = serde_json::from_value(group["labels"].clone())?;
            Ok(labels.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect())
        };
        groups.iter().map(pairs).collect()
    }

    fn send(&self, method: &str, path: &[u8], body: &str) -> Result<Answer> {
        answer(&self.server, method, path, body)
    }
}

/// Status, location and body.
type Answer = (u16, Option<Vec<u8>>, Vec<u8>);

/// Sends a request by HTTP/1.0, so that the body is sent unchanged until the connection ends.
pub(crate) fn answer(server: &Pushgateway, method: &str, path: &[u8], body: &str) -> Result<Answer> {
    let head = format!(" HTTP/1.0\r\nHost: gateway\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = http::raw(server.address, &[method.as_bytes(), b" ", path, head.as_bytes()].concat())?;
    if answer.is_empty() {
        return Ok((NO_ANSWER, None, answer));
    }
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("half an answer")?;
    let (head, body) = answer.split_at(end + 4);
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let location = head.lines().find_map(|line| Some(line.strip_prefix("Location: ")?.as_bytes().to_vec()));
    Ok((status, location, body.to_vec()))
}

/// Decodes percent escapes once and keeps broken ones.
pub(crate) fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (byte, left) = match escape(rest) {
            Some(byte) => (byte, &tail[2..]),
            None => (*first, tail),
        };
        out.push(byte);
        rest = left;
    }
    out
}

/// Returns whether no segment of the path is empty or consists of dots.
pub(crate) fn is_clean(path: &[u8]) -> bool {
    let path = path.split(|&b| b == b'?').next().unwrap_or_default();
    !path.windows(2).any(|pair| pair == b"//") && !path.split(|&b| b == b'/').any(|s| s == b"." || s == b"..")
}

/// Returns whether the path, without its query, has a percent sign without two hex digits.
pub(crate) fn broken_escape(path: &[u8]) -> bool {
    let end = path.iter().position(|&b| b == b'?').unwrap_or(path.len());
    (0..end).any(|at| path[at] == b'%' && escape(&path[at..end]).is_none())
}

fn escape(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = *text else { return None };
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
