//! The members of a configuration.

use std::collections::BTreeMap;

use pushring_ring::{MEMBERS_MAX, WEIGHT_MAX};
use serde::Serialize;

use crate::address;
use crate::config::{Mode, Placement};
use crate::error::ConfigError;
use crate::json::{Fields, Json};

/// One Pushgateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its identity on the ring.
    pub name: String,
    /// `host:port` where it listens.
    pub address: String,
    /// 1..=100; its part of the groups is in proportion.
    pub weight: u32,
}

/// Reads the list; the result is sorted by name.
pub(crate) fn read(
    json: Option<Json>,
    min: usize,
    mode: Mode,
    placement: Placement,
) -> Result<Vec<Member>, ConfigError> {
    let list = match json {
        Some(Json::List(list)) => list,
        Some(other) => return Err(ConfigError::new("members", other, "a list")),
        None => return Err(ConfigError::new("members", "no such field", "a list: it is required")),
    };
    let count = format!("{} members", list.len());
    if list.len() > MEMBERS_MAX {
        return Err(ConfigError::new("members", count, &format!("at most {MEMBERS_MAX}")));
    }
    if list.len() < min {
        return Err(ConfigError::new("members", count, &format!("at least {min} (min_members)")));
    }
    let read = |(index, json)| read_member(&format!("members[{index}]"), json, mode, placement);
    let mut members = list.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    // Before sorting, so that the indices in messages are those of the text.
    check_unique(&members, "name", |m| &m.name)?;
    check_unique(&members, "address", |m| &m.address)?;
    members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

/// `"host:port"`, or an object with `name` and, if wanted, `address` and `weight`.
fn read_member(at: &str, json: Json, mode: Mode, placement: Placement) -> Result<Member, ConfigError> {
    let json = match json {
        text @ Json::Text(_) => Json::Object(vec![("name".to_owned(), text)]),
        Json::Object(_) => json,
        other => {
            return Err(ConfigError::new(at, other, "\"host:port\" or {\"name\", \"address\", \"weight\"}"));
        }
    };
    let mut fields = Fields::of(at, json)?;
    let Some(name) = fields.text("name")? else {
        return Err(ConfigError::new(&fields.path("name"), "no such field", "a string: it is required"));
    };
    if !address::is_name(&name) {
        let allowed = "1 to 253 visible ASCII bytes without a comma";
        return Err(ConfigError::new(&fields.path("name"), format!("{name:?}"), allowed));
    }
    let address = fields.text_or("address", &name)?;
    check_address(&fields.path("address"), &address, mode)?;
    let weight = fields.number_or("weight", 1, 1..=WEIGHT_MAX)?;
    if placement == Placement::DynamicSharding && weight != 1 {
        let allowed = "only 1: placement dynamic-sharding knows no weights";
        return Err(ConfigError::new(&fields.path("weight"), weight, allowed));
    }
    fields.finish()?;
    Ok(Member { name, address, weight })
}

fn check_address(field: &str, address: &str, mode: Mode) -> Result<(), ConfigError> {
    let allowed = if !address::is_host_port(address) {
        "host:port with a port of 1 to 65535 (an IPv6 host in brackets)".to_owned()
    } else if mode != Mode::Endpoint {
        return Ok(());
    } else {
        match address::canonical_ip(address) {
            Some(canonical) if canonical == address => return Ok(()),
            Some(canonical) => format!("its canonical form {canonical:?}: endpoint mode compares text"),
            None => "an IP address and a port: endpoint mode knows no host names".to_owned(),
        }
    };
    Err(ConfigError::new(field, format!("{address:?}"), &allowed))
}

fn check_unique<'m>(
    members: &'m [Member],
    field: &str,
    value: impl Fn(&'m Member) -> &'m String,
) -> Result<(), ConfigError> {
    let mut first = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        if let Some(earlier) = first.insert(value(member), index) {
            let found = format!("{:?}, which is members[{earlier}].{field} too", value(member));
            return Err(ConfigError::new(&format!("members[{index}].{field}"), found, "each only once"));
        }
    }
    Ok(())
}
