//! The configuration of the filter.
//!
//! [`Config::parse`] checks every value, so the rest of the crate checks none.
//!
//! * `settings`: settings with a fixed list of values
//! * `members`, `address`: the list of members
//! * `validate`: the settings that are text
//! * `json`, `error`: strict reading, and the reason of a rejection

mod address;
mod error;
mod json;
mod members;
mod settings;
mod validate;

use pushring_ring::MAX_POINTS_PER_WEIGHT;

use json::{Fields, Json, Location};

pub use address::canonical_address;
pub use error::ConfigError;
pub use members::Member;
pub use pushring_ring::MAX_MEMBERS;
pub use settings::{Lookup, Mirror, Mode, Placement, RouteBy};

/// A checked configuration. docs/configuration.md lists the fields with their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sorted by name; at most [`MAX_MEMBERS`]; names and addresses unique.
    pub members: Vec<Member>,
    /// The labels that form the key of a push.
    pub route_by: RouteBy,
    /// Placement of the members on the ring.
    pub placement: Placement,
    /// How a push reaches its owner.
    pub mode: Mode,
    /// Name of the destination header, in lower case.
    pub header: String,
    /// Cluster mode: prefix of a member's name in the destination.
    pub cluster_prefix: String,
    /// Endpoint mode: number of members listed after the owner.
    pub successors: usize,
    /// The pushes for which `<header>-mirror` names the first successor. [`Mirror::None`] in redirect mode, where Envoy
    /// forwards nothing.
    pub mirror: Mirror,
    /// The Pushgateways' `--web.route-prefix`: empty, or with a leading and without a trailing slash.
    pub path_prefix: String,
    /// Whether the Pushgateways run with `--push.enable-utf8-names`.
    pub utf8_names: bool,
    /// When GET and HEAD on a push path return the owner.
    pub lookup: Lookup,
    /// Whether `/-/healthy` and `/-/ready` are answered.
    pub health: bool,
    /// Path that returns the ring as JSON; empty to disable it.
    pub status_path: String,
    /// Scheme of redirects and of `nextUrl`: `http` or `https`.
    pub redirect_scheme: &'static str,
}

const MAX_SUCCESSORS: u32 = MAX_MEMBERS as u32 - 1;

impl Config {
    /// Parses and checks a configuration.
    ///
    /// # Errors
    /// [`ConfigError`] for the first problem. [`crate::Router::new`] checks one more limit: the number of points over all
    /// members.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let mut fields = Fields::of(Location::Root, Json::parse(json)?)?;
        let placement = placement(&mut fields)?;
        let mode = fields.one_of(
            "mode",
            &[("cluster", Mode::Cluster), ("endpoint", Mode::Endpoint), ("redirect", Mode::Redirect)],
        )?;
        let min_members = fields.number_or("min_members", 1, 0..=MAX_SUCCESSORS + 1)? as usize;
        let path_prefix = validate::path_prefix(&fields.text_or("path_prefix", "")?)?;
        let config = Self {
            members: members::read(fields.take("members"), min_members, mode, placement)?,
            route_by: fields.one_of(
                "route_by",
                &[("group", RouteBy::Group), ("job", RouteBy::Job), ("path", RouteBy::Path)],
            )?,
            placement,
            mode,
            header: validate::header(fields.text_or("header", "x-pushring-destination")?)?,
            cluster_prefix: validate::cluster_prefix(fields.text_or("cluster_prefix", "pushgateway-")?)?,
            successors: fields.number_or("successors", 2, 0..=MAX_SUCCESSORS)? as usize,
            mirror: mirror(&mut fields, mode)?,
            utf8_names: fields.bool_or("utf8_names", false)?,
            lookup: lookup(&mut fields, mode)?,
            health: fields.bool_or("health", false)?,
            status_path: validate::status_path(fields.text_or("status_path", "")?, &path_prefix)?,
            redirect_scheme: fields.one_of("redirect_scheme", &[("http", "http"), ("https", "https")])?,
            path_prefix,
        };
        fields.finish()?;
        Ok(config)
    }
}

fn lookup(fields: &mut Fields, mode: Mode) -> Result<Lookup, ConfigError> {
    let mut words = [("asked", Lookup::Asked), ("always", Lookup::Always), ("off", Lookup::Off)];
    if mode == Mode::Redirect {
        words.swap(0, 1); // the first is the default
    }
    fields.one_of("lookup", &words)
}

/// Takes `mirror`, or `mirror_deletes`, its name in pushring 0.2. Both have no effect in redirect mode.
fn mirror(fields: &mut Fields, mode: Mode) -> Result<Mirror, ConfigError> {
    let (new, old) = (fields.has("mirror"), fields.has("mirror_deletes"));
    let mirror = fields
        .one_of("mirror", &[("deletes", Mirror::Deletes), ("none", Mirror::None), ("all", Mirror::All)])?;
    let deletes = fields.bool_or("mirror_deletes", true)?;
    if new && old {
        return Err(ConfigError::new(
            "mirror_deletes",
            "together with mirror",
            "one of them: mirror \"deletes\" replaces mirror_deletes true, \"none\" false",
        ));
    }
    Ok(match mode {
        Mode::Redirect => Mirror::None,
        Mode::Cluster | Mode::Endpoint if !deletes => Mirror::None,
        Mode::Cluster | Mode::Endpoint => mirror,
    })
}

fn placement(fields: &mut Fields) -> Result<Placement, ConfigError> {
    const POINTS_DEFAULT: u32 = 1024;
    let Some(json) = fields.take("placement") else { return Ok(Placement::Ring { points: POINTS_DEFAULT }) };
    let mut fields = Fields::of(Location::Placement, json)?;
    let ring = fields.one_of("type", &[("ring", true), ("dynamic-sharding", false)])?;
    let placement = if ring {
        Placement::Ring { points: fields.number_or("points", POINTS_DEFAULT, 1..=MAX_POINTS_PER_WEIGHT)? }
    } else {
        Placement::DynamicSharding
    };
    fields.finish()?;
    Ok(placement)
}
