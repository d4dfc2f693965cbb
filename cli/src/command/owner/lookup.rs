//! Looks up the owner of a group: all details for one path, or one line for each of millions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use anyhow::Context;
use pushring_router::{Member, Mirror, ParsedGroup, PushOwner, Router, clean_path};
use serde::Serialize;

use super::request_target::{Rejected, path_of};
use crate::file;
use crate::text;

/// Result of a push to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PushStatus {
    /// The owner stores it.
    Push,
    /// The client is redirected to the clean path (`//`, `/./` and `/../` resolved); the owner stores it.
    Unclean,
    /// The owner rejects it with 400.
    Malformed,
    /// Envoy rejects it, because the owner would reject every later push.
    Poison,
    /// The path is not a push path; Envoy's next route handles it.
    NoPush,
    /// Envoy rejects the request before the filter sees it.
    BadRequest,
    /// Envoy responds with 503, because the ring is empty.
    NoMembers,
}

impl PushStatus {
    pub(crate) fn of(found: Option<PushOwner<'_>>, clean: bool) -> Self {
        match found {
            None => Self::NoPush,
            Some(found) if found.malformed => Self::Malformed,
            Some(found) if found.poison => Self::Poison,
            Some(found) if found.owner.is_none() => Self::NoMembers,
            Some(_) if clean => Self::Push,
            Some(_) => Self::Unclean,
        }
    }

    /// Returns whether the push is stored, perhaps after a redirect.
    pub(crate) fn is_good(self) -> bool {
        matches!(self, Self::Push | Self::Unclean)
    }

    /// Name in the table, as in the JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Unclean => "unclean",
            Self::Malformed => "malformed",
            Self::Poison => "poison",
            Self::NoPush => "no-push",
            Self::BadRequest => "bad-request",
            Self::NoMembers => "no-members",
        }
    }
}

/// Name and address of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) address: String,
}

impl From<&Member> for Named {
    fn from(member: &Member) -> Self {
        Self { name: member.name.clone(), address: member.address.clone() }
    }
}

/// All details for one path.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answer {
    /// The path, as given.
    pub(crate) path: String,
    pub(crate) verdict: PushStatus,
    /// Status of Envoy's answer to a bad request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// Labels of the group, including `job`; none if the path does not parse.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// The hashed key. Bytes outside printable ASCII are escaped as `\xff`, a backslash as `\\`.
    pub(crate) key: Option<String>,
    /// Position of the key on the ring, in 16 hex digits; with placement dynamic-sharding, the first 8 are its hash.
    pub(crate) hash: Option<String>,
    pub(crate) owner: Option<Named>,
    /// The member that also gets the push; only with `mirror: all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replica: Option<Named>,
    /// Names of the next members clockwise: `successors` of the configuration, but at least 2 if the ring has them.
    pub(crate) successors: Vec<String>,
    /// URL at which the owner accepts this push.
    pub(crate) url: Option<String>,
}

/// The part of a lookup that every output has.
struct Lookup<'r, 'p> {
    /// Empty for a bad request.
    clean: Cow<'p, [u8]>,
    verdict: PushStatus,
    /// Status of a bad request.
    status: Option<u16>,
    owner: Option<&'r Member>,
}

fn look_up<'r, 'p>(router: &'r Router, target: &'p [u8]) -> Lookup<'r, 'p> {
    let path = match path_of(target) {
        Ok(path) => path,
        Err(Rejected(status)) => {
            let (verdict, status) = (PushStatus::BadRequest, Some(status));
            return Lookup { clean: Cow::Borrowed(b""), verdict, status, owner: None };
        }
    };
    let clean = clean_path(path);
    let found = router.owner_of(&clean);
    let verdict = PushStatus::of(found, *clean == *path);
    Lookup { clean, verdict, status: None, owner: found.and_then(|found| found.owner) }
}

/// Looks up one path, with or without a query.
pub(crate) fn answer(router: &Router, path: &[u8]) -> Answer {
    let Lookup { clean, verdict, status, owner } = look_up(router, path);
    let group = router.group(&clean);
    let config = router.config();
    let successors = group.iter().flat_map(|group| router.ring().clockwise(&group.key)).skip(1);
    Answer {
        path: String::from_utf8_lossy(path).into_owned(),
        verdict,
        status,
        labels: group.as_ref().and_then(labels),
        key: group.as_ref().map(|group| group.key.escape_ascii().to_string()),
        hash: group.as_ref().map(|group| format!("{:016x}", router.ring().position(&group.key))),
        owner: owner.map(Named::from),
        replica: owner.and_then(|_| replica(router, &clean)).map(Named::from),
        successors: successors
            .take(config.successors.max(2))
            .filter_map(|index| config.members.get(index).map(|member| member.name.clone()))
            .collect(),
        url: owner.map(|owner| {
            let path = String::from_utf8_lossy(&clean);
            format!("{}://{}{path}", config.redirect_scheme, owner.address)
        }),
    }
}

/// Returns the member that also gets the pushes of a clean push path.
pub(crate) fn replica<'r>(router: &'r Router, path: &[u8]) -> Option<&'r Member> {
    if router.config().mirror != Mirror::All {
        return None;
    }
    let index = router.ring().clockwise(&router.group(path)?.key).nth(1)?;
    router.config().members.get(index)
}

fn labels(group: &ParsedGroup) -> Option<BTreeMap<String, String>> {
    let labels = group.labels.as_ref()?;
    Some(labels.iter().map(|(name, value)| (lossy(name), lossy(value))).collect())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One line of output for many paths.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    verdict: PushStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    owner: Option<&'a str>,
    address: Option<&'a str>,
}

/// Reads one path per line (LF or CR LF) and writes one line for each in the same order: with `json` a JSON object, else
/// `owner TAB address TAB verdict TAB path`, with `-` for a missing value. Allocates nothing for a plain path. Returns
/// whether every push is stored.
///
/// # Errors
/// Reading or writing failed; a closed output pipe is an error too.
pub(crate) fn stream(
    router: &Router,
    mut input: impl BufRead,
    mut output: impl Write,
    json: bool,
) -> anyhow::Result<bool> {
    let mut all_good = true;
    let mut line = Vec::new();
    while file::read_line(&mut input, &mut line).context("standard input")? > 0 {
        let path = line.strip_suffix(b"\n").unwrap_or(&line);
        let path = path.strip_suffix(b"\r").unwrap_or(path);
        let Lookup { verdict, status, owner, .. } = look_up(router, path);
        all_good &= verdict.is_good();
        let (name, address) = (owner.map(|m| m.name.as_str()), owner.map(|m| m.address.as_str()));
        if json {
            let path = &String::from_utf8_lossy(path);
            let line = serde_json::to_string(&Line { path, verdict, status, owner: name, address })?;
            output.write_all(text::json(&line).as_bytes())?;
        } else {
            for column in [name.unwrap_or("-"), address.unwrap_or("-"), verdict.word()] {
                output.write_all(column.as_bytes())?;
                output.write_all(b"\t")?;
            }
            match path.iter().all(u8::is_ascii_graphic) {
                true => output.write_all(path)?,
                false => output.write_all(text::bytes(path).as_bytes())?,
            }
        }
        output.write_all(b"\n")?;
        line.clear();
    }
    output.flush()?;
    Ok(all_good)
}
