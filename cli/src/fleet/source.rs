//! The fleet as the filter sees it: settings and members, from a file or from Consul.
//!
//! `--config` is the filter's JSON, or the ECDS file that contains it. `--consul` replaces its members with the
//! registered ones, decided by [`super::members`] as for `pushring publish`, so that the ring is the same. An
//! unreadable source is an error, never an empty fleet.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use pushring_router::{Config, Member, RouteBy, Router};
use serde_json::{Map, Value};

use crate::consul::client::{Consul, ConsulArgs};
use crate::error::{BadInput, NotSafe};
use crate::file;
use crate::fleet::access::{Access, Scheme};
use crate::fleet::members::{self, ConsulSettings, Members, Settings};
use crate::fleet::registration::Registrations;
use crate::fleet::ring_file::filter_json;
use crate::parse;
use crate::text;

/// The source of settings and members.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Fleet")]
pub struct FleetArgs {
    /// The filter's configuration (JSON), or Envoy's ring file that contains it, such as live/ring.yaml with the members of
    /// any source that `pushring discover` follows
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Use the passing members of this Consul agent (http://host:port) instead of those in the file
    #[arg(long, value_name = "URL")]
    pub consul: Option<String>,
    /// Name of the service in Consul
    #[arg(long, value_name = "NAME", default_value = "pushgateway", requires = "consul")]
    pub service: String,
    /// Datacenter to query. Repeatable; default: the agent's own
    #[arg(long = "datacenter", value_name = "NAME", requires = "consul")]
    pub datacenters: Vec<String>,
    /// Tag that a registration must have. Repeatable; a registration must have all of them
    #[arg(long = "tag", value_name = "TAG", requires = "consul")]
    pub tags: Vec<String>,
    #[command(flatten)]
    access: ConsulArgs,
    /// min_members_share of settings.yaml: with fewer registered members passing, Envoy keeps its last ring
    #[arg(long, value_name = "SHARE", default_value_t = members::a_half(), value_parser = share, requires = "consul")]
    min_members_share: f64,
}

/// Parses `min_members_share`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected 0 to 1".to_owned())
}

/// Checked [`FleetArgs`], from which the fleet can be read repeatedly.
#[derive(Debug)]
pub struct Source {
    config: PathBuf,
    consul: Option<Consul>,
    service: ConsulSettings,
    min_members_share: f64,
}

/// The fleet at one moment.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Settings, and the members on the ring.
    pub router: Router,
    /// Members that are registered in Consul but not passing: they are not on the ring but may hold groups. Empty
    /// if the members come from the file.
    pub registered: Vec<Member>,
    /// Protocol of each registered address. Empty if the members come from the file: then `redirect_scheme` is that of
    /// all.
    pub schemes: BTreeMap<String, Scheme>,
    /// Registrations in Consul that cannot be members, with the reason; one line each.
    pub skipped: Vec<String>,
    /// Time of the last change: when the file was written or moved to its place. `None` if the members come from
    /// Consul, which does not report it.
    pub changed: Option<SystemTime>,
}

impl FleetArgs {
    /// Returns the flags of a command that has others for the same things.
    pub(crate) fn of(config: PathBuf, consul: Option<String>, service: String, access: ConsulArgs) -> Self {
        let (datacenters, tags) = (Vec::new(), Vec::new());
        Self { config, consul, service, datacenters, tags, access, min_members_share: members::a_half() }
    }

    /// Checks the flags; reads only the files of `--consul-token-file`, `--consul-ca-file` and the like.
    ///
    /// # Errors
    /// [`BadInput`]: Consul's address or one of those files is invalid.
    pub fn source(&self) -> anyhow::Result<Source> {
        let consul = self.consul.as_deref().map(|address| Consul::new(address, &self.access));
        let service = ConsulSettings {
            service: self.service.clone(),
            datacenters: self.datacenters.clone(),
            tags: self.tags.clone(),
        };
        service.check(["--service", "--datacenter", "--tag"])?;
        Ok(Source {
            config: self.config.clone(),
            consul: consul.transpose()?,
            service,
            min_members_share: self.min_members_share,
        })
    }
}

impl Source {
    pub(crate) fn consul(&self) -> Option<&Consul> {
        self.consul.as_ref()
    }

    pub(crate) fn service(&self) -> &ConsulSettings {
        &self.service
    }

    /// Reads the fleet as it is now.
    ///
    /// # Errors
    /// [`BadInput`]: the file is unreadable, or the filter would reject it. [`NotSafe`]: so few registered members
    /// are passing that the filter would reject the ring; Envoy then keeps its last ring, which is unknown here.
    /// Any other error: Consul cannot be read.
    pub fn read(&self) -> anyhow::Result<Fleet> {
        match &self.consul {
            None => Fleet::from_file(&self.config).context("--config"),
            Some(consul) => self.read_consul(consul),
        }
    }

    fn read_consul(&self, consul: &Consul) -> anyhow::Result<Fleet> {
        let filter = settings_of(&self.config).context("--config")?;
        let settings = Settings {
            consul: Some(self.service.clone()),
            min_members_share: self.min_members_share,
            gateways: Some(Access { scheme: redirect_scheme(&filter), ..Access::default() }),
            filter,
        };
        let mut found = Registrations::default();
        for datacenter in self.service.queried() {
            found.extend(consul.registrations(&self.service.service, datacenter, &self.service.tags)?);
        }
        let members = Members::decide(&settings, &found);
        let router = members.ring(&self.service.service)?;
        Ok(Fleet {
            router,
            registered: members.off_ring,
            schemes: members.schemes,
            skipped: members.skipped,
            changed: None,
        })
    }
}

impl Fleet {
    /// Reads settings and members from a file: the filter's JSON, or the ECDS file that contains it.
    ///
    /// # Errors
    /// [`BadInput`]: the file is unreadable, or the filter would reject it; then with the filter's message.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let text = read(path)?;
        let metadata = fs::metadata(path);
        let router = parse(&text).map_err(|error| BadInput(format!("{}: {error:#}", text::path(path))))?;
        // A time in the future would make the settling time too long.
        let changed = metadata.ok().map(|metadata| changed(&metadata).min(SystemTime::now()));
        Ok(Self { router, registered: Vec::new(), schemes: BTreeMap::new(), skipped: Vec::new(), changed })
    }
}

impl Fleet {
    /// Checks that every group has a single owner.
    ///
    /// # Errors
    /// [`NotSafe`] with `route_by: path`, or without members.
    pub(crate) fn require_owners(&self) -> anyhow::Result<()> {
        let config = self.router.config();
        if config.route_by == RouteBy::Path {
            bail!(NotSafe(
                "route_by: found \"path\", allowed \"group\" or \"job\": only these give a group a single owner"
                    .to_owned()
            ));
        }
        ensure!(!config.members.is_empty(), NotSafe("the ring has no members".to_owned()));
        Ok(())
    }
}

/// Returns the later of the modification time and the change time: `mv` and `rsync -a` keep the old
/// modification time, but the file takes effect when it arrives.
fn changed(metadata: &Metadata) -> SystemTime {
    let arrived = u64::try_from(metadata.ctime()).ok();
    let arrived = arrived.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let modified = metadata.modified().ok();
    arrived.into_iter().chain(modified).max().unwrap_or_else(SystemTime::now)
}

/// Reads a file; the error is [`BadInput`] with its name.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    file::read_text(path).with_context(|| BadInput(text::path(path)))
}

/// Parses the filter's JSON, or the ECDS file that contains it, with the filter's own parser.
pub(crate) fn parse(text: &str) -> anyhow::Result<Router> {
    Ok(Router::parse(filter_json(text)?.as_bytes())?)
}

fn redirect_scheme(filter: &Map<String, Value>) -> Scheme {
    filter.get("redirect_scheme").and_then(Value::as_str).and_then(Scheme::parse).unwrap_or_default()
}

/// Returns all fields of the file except `members` and `min_members`, checked.
fn settings_of(path: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = read(path)?;
    settings(&text).map_err(|error| BadInput(format!("{}: {error:#}", text::path(path))).into())
}

fn settings(text: &str) -> anyhow::Result<Map<String, Value>> {
    let json = filter_json(text)?;
    let Ok(Value::Object(mut fields)) = parse::json(&json) else {
        // Not JSON, or not an object: the filter's parser says so.
        Config::parse(json.as_bytes())?;
        bail!("found no JSON object");
    };
    fields.insert("members".to_owned(), Value::Array(Vec::new()));
    fields.insert("min_members".to_owned(), 0.into());
    Config::parse(Value::Object(fields.clone()).to_string().as_bytes())?;
    fields.retain(|field, _| field != "members" && field != "min_members");
    Ok(fields)
}
