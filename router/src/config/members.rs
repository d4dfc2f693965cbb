//! The members of a configuration.

use pushring_ring::{MAX_MEMBERS, MAX_WEIGHT};
use serde::Serialize;

use super::address;
use super::error::ConfigError;
use super::json::{Fields, Json, Location};
use super::settings::{Mode, Placement};

/// One Pushgateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Identity on the ring: 1 to 253 visible ASCII bytes without a comma.
    pub name: String,
    /// `host:port` of the Pushgateway.
    pub address: String,
    /// 1 to 100. A member of weight 2 owns about twice as many groups as one of weight 1.
    pub weight: u32,
}

impl Member {
    /// Creates a member of weight 1. Endpoint mode requires an IP address in canonical form.
    ///
    /// # Errors
    /// [`ConfigError`] for the field `name` or `address`.
    pub fn new(name: String, address: String, mode: Mode) -> Result<Self, ConfigError> {
        if !address::is_name(&name) {
            let expected = "1 to 253 visible ASCII bytes without a comma";
            return Err(ConfigError::new("name", format!("{name:?}"), expected));
        }
        check_address(&address, mode)?;
        Ok(Self { name, address, weight: 1 })
    }
}

/// Reads the list and sorts it by name.
pub(crate) fn read(
    json: Option<Json>,
    min: usize,
    mode: Mode,
    placement: Placement,
) -> Result<Vec<Member>, ConfigError> {
    let list = match json {
        Some(Json::List(list)) => list,
        Some(other) => return Err(ConfigError::new("members", other, "a list")),
        None => return Err(ConfigError::missing("members", "a list")),
    };
    let count = format!("{} members", list.len());
    if list.len() > MAX_MEMBERS {
        return Err(ConfigError::new("members", count, format!("at most {MAX_MEMBERS}")));
    }
    if list.len() < min {
        return Err(ConfigError::new("members", count, format!("at least {min} (min_members)")));
    }
    let mut members = Vec::with_capacity(list.len());
    for (index, json) in list.into_iter().enumerate() {
        members.push((read_member(Location::Member(index), json, mode, placement)?, index));
    }
    members.sort_unstable_by(|(a, i), (b, j)| (&a.name, i).cmp(&(&b.name, j)));
    check_unique("name", members.iter().map(|(member, index)| (&*member.name, *index)))?;
    // One spelling each: two members at one address would be one gateway that is listed twice.
    let canonical =
        members.iter().map(|(member, index)| (address::canonical_address(&member.address), *index));
    let mut addresses: Vec<_> = canonical.filter_map(|(address, index)| Some((address?, index))).collect();
    addresses.sort_unstable();
    check_unique("address", addresses.iter().map(|(address, index)| (&**address, *index)))?;
    Ok(members.into_iter().map(|(member, _)| member).collect())
}

/// Reads `"host:port"`, or an object with `name` and optionally `address` and `weight`.
fn read_member(
    location: Location,
    json: Json,
    mode: Mode,
    placement: Placement,
) -> Result<Member, ConfigError> {
    let (name, address, weight) = match json {
        Json::Text(name) => (name, None, 1),
        Json::Object(_) => {
            let mut fields = Fields::of(location, json)?;
            let Some(name) = fields.text("name")? else {
                return Err(ConfigError::missing(location.path("name"), "a string"));
            };
            let (address, weight) = (fields.text("address")?, fields.number_or("weight", 1, 1..=MAX_WEIGHT)?);
            fields.finish()?;
            (name, address, weight)
        }
        other => {
            return Err(ConfigError::new(
                location,
                other,
                "\"host:port\" or {\"name\", \"address\", \"weight\"}",
            ));
        }
    };
    let address = address.unwrap_or_else(|| name.clone());
    let member = Member::new(name, address, mode).map_err(|error| error.within(location))?;
    if placement == Placement::DynamicSharding && weight != 1 {
        let expected = "only 1: placement dynamic-sharding has no weights";
        return Err(ConfigError::new(location.path("weight"), weight, expected));
    }
    Ok(Member { weight, ..member })
}

fn check_address(address: &str, mode: Mode) -> Result<(), ConfigError> {
    let expected = match address::canonical_address(address) {
        None if !address::is_host_port(address) => {
            "host:port with a port of 1 to 65535 (an IPv6 host in brackets)".to_owned()
        }
        None => "an IPv4 address as four decimal numbers without leading zeros".to_owned(),
        Some(_) if mode != Mode::Endpoint => return Ok(()),
        Some(canonical) if !address::is_ip(&canonical) => {
            "an IP address and a port: endpoint mode supports no host names".to_owned()
        }
        Some(canonical) if canonical == address => return Ok(()),
        Some(canonical) => format!("its canonical form {canonical:?}: endpoint mode compares text"),
    };
    Err(ConfigError::new("address", format!("{address:?}"), expected))
}

/// Rejects the first value, in the order of the configuration, that occurs a second time. `values` are sorted and come
/// with their indices in the configuration.
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
    Err(ConfigError::new(Location::Member(index).path(field), found, "each only once"))
}
