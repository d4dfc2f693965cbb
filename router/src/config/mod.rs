//! The filter's configuration: its values, and the order in which they are read.
//!
//! What a [`Config`] holds came through every check, so that the rest of the crate needs none. The checks of
//! single values are in `validate.rs`, the members' in `members.rs`.

mod address;
mod error;
mod json;
mod members;
mod settings;
mod validate;

use pushring_ring::POINTS_PER_WEIGHT_MAX;

use json::{At, Fields, Json};

pub use error::ConfigError;
pub use members::Member;
pub use pushring_ring::MEMBERS_MAX;
pub use settings::{Mode, Placement, RouteBy};

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sorted by name; at most [`MEMBERS_MAX`]; names and addresses unique.
    pub members: Vec<Member>,
    /// Key of a push.
    pub route_by: RouteBy,
    /// Layout of the ring.
    pub placement: Placement,
    /// What is done with the owner.
    pub mode: Mode,
    /// The destination header, lower-case.
    pub header: String,
    /// Cluster mode: the destination is this and the member's name.
    pub cluster_prefix: String,
    /// Endpoint mode: further members listed after the owner.
    pub successors: usize,
    /// Whether a DELETE also names the first successor in `<header>-mirror`.
    pub mirror_deletes: bool,
    /// The Pushgateways' `--web.route-prefix`: empty, or `/…` without a slash at the end.
    pub path_prefix: String,
    /// Whether the Pushgateways run with `--push.enable-utf8-names`.
    pub utf8_names: bool,
    /// Whether GET and HEAD on a push path answer the owner.
    pub lookup: bool,
    /// Whether `/-/healthy` and `/-/ready` are answered.
    pub health: bool,
    /// Path that answers the ring as JSON; empty: none.
    pub status_path: String,
    /// Scheme of redirects and of `nextUrl`.
    pub redirect_scheme: &'static str,
}

/// Largest index of a member.
const MEMBER_LAST: u32 = MEMBERS_MAX as u32 - 1;

impl Config {
    /// Parses and checks a configuration.
    ///
    /// # Errors
    /// The first thing that is wrong, with its field, what was found and what is allowed. One limit is left to
    /// [`crate::Router::new`]: the number of points over all members.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let mut fields = Fields::of(At::Whole, Json::parse(json)?)?;
        let placement = placement(&mut fields)?;
        let mode = fields.word(
            "mode",
            &[("cluster", Mode::Cluster), ("endpoint", Mode::Endpoint), ("redirect", Mode::Redirect)],
        )?;
        let min_members = fields.number_or("min_members", 1, 0..=MEMBER_LAST + 1)? as usize;
        let path_prefix = validate::path_prefix(&fields.text_or("path_prefix", "")?)?;
        let config = Self {
            members: members::read(fields.take("members"), min_members, mode, placement)?,
            route_by: fields.word(
                "route_by",
                &[("group", RouteBy::Group), ("job", RouteBy::Job), ("path", RouteBy::Path)],
            )?,
            placement,
            mode,
            header: validate::header(fields.text_or("header", "x-pushring-destination")?)?,
            cluster_prefix: validate::cluster_prefix(fields.text_or("cluster_prefix", "pushgateway-")?)?,
            successors: fields.number_or("successors", 2, 0..=MEMBER_LAST)? as usize,
            mirror_deletes: fields.bool_or("mirror_deletes", false)?,
            utf8_names: fields.bool_or("utf8_names", false)?,
            lookup: fields.bool_or("lookup", true)?,
            health: fields.bool_or("health", false)?,
            status_path: validate::status_path(fields.text_or("status_path", "")?, &path_prefix)?,
            redirect_scheme: fields.word("redirect_scheme", &[("http", "http"), ("https", "https")])?,
            path_prefix,
        };
        fields.finish()?;
        Ok(config)
    }
}

fn placement(fields: &mut Fields) -> Result<Placement, ConfigError> {
    const POINTS_DEFAULT: u32 = 1024;
    let Some(json) = fields.take("placement") else { return Ok(Placement::Ring { points: POINTS_DEFAULT }) };
    let mut fields = Fields::of(At::Placement, json)?;
    let ring = fields.word("type", &[("ring", true), ("dynamic-sharding", false)])?;
    let placement = if ring {
        Placement::Ring { points: fields.number_or("points", POINTS_DEFAULT, 1..=POINTS_PER_WEIGHT_MAX)? }
    } else {
        Placement::DynamicSharding
    };
    fields.finish()?;
    Ok(placement)
}
