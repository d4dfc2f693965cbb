//! Who owns a group, for `pushring owner`: all about one path, or one line for each of millions.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use anyhow::Context;
use pushring_router::{Member, ParsedGroup, PushOwner, Router, clean_path};
use serde::Serialize;

/// What becomes of a push to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PushStatus {
    /// It reaches the owner.
    Push,
    /// The client is sent to the cleaned path (`//`, `/./` and `/../` resolved), and from there to the owner.
    Unclean,
    /// The owner refuses it: a gateway's own 400.
    Malformed,
    /// Envoy refuses it: stored, it would make the owner refuse every later push.
    Poison,
    /// It is no push path: Envoy's next route.
    NoPush,
    /// The ring is empty: 503.
    NoMembers,
}

impl PushStatus {
    pub(crate) fn of(owned: Option<PushOwner<'_>>, clean: bool) -> Self {
        match owned {
            None => Self::NoPush,
            Some(owned) if owned.malformed => Self::Malformed,
            Some(owned) if owned.poison => Self::Poison,
            Some(owned) if owned.owner.is_none() => Self::NoMembers,
            Some(_) if clean => Self::Push,
            Some(_) => Self::Unclean,
        }
    }

    /// Whether the push is stored in the end.
    pub(crate) fn is_good(self) -> bool {
        matches!(self, Self::Push | Self::Unclean)
    }

    /// The word in the output, in both forms.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Unclean => "unclean",
            Self::Malformed => "malformed",
            Self::Poison => "poison",
            Self::NoPush => "no-push",
            Self::NoMembers => "no-members",
        }
    }
}

/// A member as it is named in answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Named {
    /// Its name on the ring.
    pub(crate) name: String,
    pub(crate) address: String,
}

impl From<&Member> for Named {
    fn from(member: &Member) -> Self {
        Self { name: member.name.clone(), address: member.address.clone() }
    }
}

/// All about one path.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answer {
    /// The path, as given.
    pub(crate) path: String,
    /// What becomes of a push to it.
    pub(crate) verdict: PushStatus,
    /// Name and value of each label, `job` among them; none when the path does not parse.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// What is hashed. Bytes beyond printable ASCII show as `\xff`, a backslash as `\\`.
    pub(crate) key: Option<String>,
    /// Where the key lies on the ring: 16 hex digits; with placement dynamic-sharding the first 8 are its hash.
    pub(crate) hash: Option<String>,
    /// The member that has the group.
    pub(crate) owner: Option<Named>,
    /// Names of the next members clockwise: as many as `successors` says, at least 2 where there are that many.
    pub(crate) successors: Vec<String>,
    /// Where the owner takes this push.
    pub(crate) url: Option<String>,
}

/// Answers for one path, with or without a query.
pub(crate) fn answer(router: &Router, path: &[u8]) -> Answer {
    let clean = clean_path(path);
    let owned = router.owner_of(&clean);
    let group = router.group(&clean);
    let config = router.config();
    let owner = owned.and_then(|owned| owned.owner);
    let successors = group.iter().flat_map(|group| router.ring().clockwise(&group.key)).skip(1);
    Answer {
        path: String::from_utf8_lossy(path).into_owned(),
        verdict: PushStatus::of(owned, *clean == *path),
        labels: group.as_ref().and_then(labels),
        key: group.as_ref().map(|group| group.key.escape_ascii().to_string()),
        hash: group.as_ref().map(|group| format!("{:016x}", router.ring().position(&group.key))),
        owner: owner.map(Named::from),
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

fn labels(group: &ParsedGroup) -> Option<BTreeMap<String, String>> {
    let labels = group.labels.as_ref()?;
    Some(labels.iter().map(|(name, value)| (lossy(name), lossy(value))).collect())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One line of the answer to many paths.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    verdict: PushStatus,
    owner: Option<&'a str>,
    address: Option<&'a str>,
}

/// Reads paths, one a line (CR LF is a line end too), and writes a line for each in the same order: with `json` a JSON
/// object, else `owner TAB address TAB verdict TAB path`, `-` for what there is not. Allocates nothing for a plain
/// path. True when every push is stored in the end.
///
/// # Errors
/// Reading or writing failed; a reader of the output that has gone is an error too.
pub(crate) fn stream(
    router: &Router,
    mut input: impl BufRead,
    mut output: impl Write,
    json: bool,
) -> anyhow::Result<bool> {
    let mut all_good = true;
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).context("standard input")? > 0 {
        let path = line.strip_suffix(b"\n").unwrap_or(&line);
        let path = path.strip_suffix(b"\r").unwrap_or(path);
        let clean = clean_path(path);
        let owned = router.owner_of(&clean);
        let verdict = PushStatus::of(owned, *clean == *path);
        let owner = owned.and_then(|owned| owned.owner);
        all_good &= verdict.is_good();
        let (name, address) = (owner.map(|m| m.name.as_str()), owner.map(|m| m.address.as_str()));
        if json {
            let path = &String::from_utf8_lossy(path);
            serde_json::to_writer(&mut output, &Line { path, verdict, owner: name, address })?;
        } else {
            for column in [name.unwrap_or("-"), address.unwrap_or("-"), verdict.word()] {
                output.write_all(column.as_bytes())?;
                output.write_all(b"\t")?;
            }
            output.write_all(path)?;
        }
        output.write_all(b"\n")?;
        line.clear();
    }
    output.flush()?;
    Ok(all_good)
}
