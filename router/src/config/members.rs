//! The members of a configuration.

use pushring_ring::{MEMBERS_MAX, WEIGHT_MAX};
use serde::Serialize;

use super::address;
use super::error::ConfigError;
use super::json::{At, Fields, Json};
use super::settings::{Mode, Placement};

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
    let read = |(index, json)| Ok((read_member(At::Member(index), json, mode, placement)?, index));
    let mut members = list.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    members.sort_unstable_by(|(a, i), (b, j)| (&a.name, i).cmp(&(&b.name, j)));
    check_unique("name", members.iter().map(|(member, index)| (&*member.name, *index)))?;
    if members.iter().any(|(member, _)| member.address != member.name) {
        let mut addresses: Vec<_> =
            members.iter().map(|(member, index)| (&*member.address, *index)).collect();
        addresses.sort_unstable();
        check_unique("address", addresses.into_iter())?;
    }
    Ok(members.into_iter().map(|(member, _)| member).collect())
}

/// `"host:port"`, or an object with `name` and, if wanted, `address` and `weight`.
fn read_member(at: At, json: Json, mode: Mode, placement: Placement) -> Result<Member, ConfigError> {
    let (name, address, weight) = match json {
        Json::Text(name) => (name, None, 1),
        Json::Object(_) => {
            let mut fields = Fields::of(at, json)?;
            let Some(name) = fields.text("name")? else {
                return Err(ConfigError::new(at.path("name"), "no such field", "a string: it is required"));
            };
            let (address, weight) = (fields.text("address")?, fields.number_or("weight", 1, 1..=WEIGHT_MAX)?);
            fields.finish()?;
            (name, address, weight)
        }
        other => {
            return Err(ConfigError::new(at, other, "\"host:port\" or {\"name\", \"address\", \"weight\"}"));
        }
    };
    if !address::is_name(&name) {
        let allowed = "1 to 253 visible ASCII bytes without a comma";
        return Err(ConfigError::new(at.path("name"), format!("{name:?}"), allowed));
    }
    let address = address.unwrap_or_else(|| name.clone());
    check_address(at, &address, mode)?;
    if placement == Placement::DynamicSharding && weight != 1 {
        let allowed = "only 1: placement dynamic-sharding knows no weights";
        return Err(ConfigError::new(at.path("weight"), weight, allowed));
    }
    Ok(Member { name, address, weight })
}

fn check_address(at: At, address: &str, mode: Mode) -> Result<(), ConfigError> {
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
    Err(ConfigError::new(at.path("address"), format!("{address:?}"), &allowed))
}

/// Refuses the first value, in the order of the text, that was there before. `values` come with their indices in the
/// text, sorted.
fn check_unique<'m>(field: &str, values: impl Iterator<Item = (&'m str, usize)>) -> Result<(), ConfigError> {
    let mut before = None;
    let mut again: Option<(usize, usize, &str)> = None;
    for (value, index) in values {
        if let Some((earlier, value_before)) = before.replace((index, value))
            && value_before == value
            && again.is_none_or(|(other, ..)| index < other)
        {
            again = Some((index, earlier, value));
        }
    }
    let Some((index, earlier, value)) = again else { return Ok(()) };
    let found = format!("{value:?}, which is members[{earlier}].{field} too");
    Err(ConfigError::new(At::Member(index).path(field), found, "each only once"))
}
