//! A change of members in flags, instead of a second configuration.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{anyhow, ensure};
use pushring_router::{Member, Router};
use serde_json::{Map, Value};

use crate::error::BadInput;
use crate::fleet::address::GatewayAddress;
use crate::fleet::ring_file::filter_json;
use crate::fleet::source;
use crate::number;
use crate::parse;

/// The flags; each may be repeated.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Change, instead of --to")]
pub(crate) struct ChangeArgs {
    /// Add a member, with weight 1 or another one. Repeatable
    #[arg(long, value_name = "ADDRESS[=WEIGHT]")]
    add: Vec<String>,
    /// Remove a member, by its name or address. Repeatable
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
    /// Change the weight of a member. Repeatable
    #[arg(long, value_name = "NAME=N")]
    weight: Vec<String>,
}

impl ChangeArgs {
    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && self.weight.is_empty()
    }

    /// Applies the change to the configuration in a file, of which `before` is the ring.
    ///
    /// # Errors
    /// [`BadInput`]: a flag is invalid, a name unknown, or the filter would reject the result.
    pub(crate) fn apply(&self, file: &Path, before: &Router) -> anyhow::Result<Router> {
        let mut members = before.config().members.clone();
        for name in &self.remove {
            let index = find(&members, "--remove", name)?;
            members.remove(index);
        }
        for text in &self.add {
            let (address, weight) = split("--add", text, "1")?;
            let parsed = GatewayAddress::parse(address).map_err(|error| bad("--add", &error.to_string()))?;
            let address = parsed.to_string();
            let twice = members.iter().any(|member| [&member.name, &member.address].contains(&&address));
            ensure!(!twice, bad("--add", &format!("{address} is a member already; change it with --weight")));
            members.push(Member { name: address.clone(), address, weight });
        }
        let mut weighed = BTreeSet::new();
        for text in &self.weight {
            ensure!(text.contains('='), bad("--weight", &format!("found {text:?}, expected NAME=N")));
            let (name, weight) = split("--weight", text, "")?;
            let index = find(&members, "--weight", name)?;
            ensure!(
                weighed.insert(index),
                bad("--weight", &format!("found {name:?} twice, expected it once"))
            );
            members[index].weight = weight;
        }
        let mut fields: Map<String, Value> =
            parse::json(&filter_json(&source::read(file)?)?).map_err(BadInput)?;
        // A publication takes the share of those that are registered then, which all of them never miss.
        if let Some(least) = fields.get("min_members").and_then(Value::as_u64) {
            fields.insert("min_members".to_owned(), least.min(members.len().max(1) as u64).into());
        }
        fields.insert("members".to_owned(), serde_json::to_value(&members)?);
        let changed = Router::parse(Value::Object(fields).to_string().as_bytes());
        Ok(changed.map_err(|error| BadInput(format!("the ring after the change: {error}")))?)
    }
}

/// Splits at the last `=`, because an address has none.
fn split<'t>(flag: &str, text: &'t str, default: &'t str) -> anyhow::Result<(&'t str, u32)> {
    let (name, weight) = text.rsplit_once('=').unwrap_or((text, default));
    let parsed = number::within(1..=100)(weight);
    let parsed = parsed.map_err(|expected| bad(flag, &format!("found weight {weight:?}, {expected}")))?;
    Ok((name, parsed))
}

fn find(members: &[Member], flag: &str, given: &str) -> anyhow::Result<usize> {
    let by_name = members.iter().position(|member| member.name == given);
    // A configuration that was written by hand has any spelling.
    let by_address = || {
        let address = GatewayAddress::parse(given).ok()?;
        let is_meant =
            |member: &Member| GatewayAddress::parse(&member.address).is_ok_and(|own| own == address);
        members.iter().position(is_meant)
    };
    by_name.or_else(by_address).ok_or_else(|| {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        bad(flag, &format!("found {given:?}, expected a member; members: {}", names.join(", ")))
    })
}

fn bad(flag: &str, message: &str) -> anyhow::Error {
    anyhow!(BadInput(format!("{flag}: {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_member_by_its_name_first_and_by_any_spelling_of_its_address() {
        let member = |name: &str, address: &str| {
            let (name, address) = (name.to_owned(), address.to_owned());
            Member { name, address, weight: 1 }
        };
        let members = [
            member("a", "10.0.0.2:9091"),
            member("10.0.0.2:9091", "10.0.0.3:9091"),
            member("b", "PG.Example.:9091"),
            member("c", "no address"),
        ];
        for (given, index) in
            [("a", 0), ("10.0.0.2:9091", 1), ("[::ffff:10.0.0.2]:9091", 0), ("pg.example:9091", 2)]
        {
            assert_eq!(find(&members, "--remove", given).unwrap(), index, "{given}");
        }
        assert!(find(&members, "--remove", "also no address").is_err());
    }
}
