//! The things that `discover` keeps up to date, and their flags.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use pushring_router::Config;

use crate::command::given::Flag;
use crate::command::publish::{
    Options, PublicationArgs, RING_FILE, Report, WASM_PLUGIN, WasmPlugin, WasmPluginOptions, check_settings,
    publish,
};
use crate::error::BadInput;
use crate::fleet::members::{Members, Settings};
use crate::fleet::ring_file::RingFile;
use crate::kubernetes::access::KubernetesArgs;
use crate::kubernetes::object::ObjectName;

/// Heading of the flags in the help.
const HEADING: &str = "Istio";
/// Interval at which objects are read again: others can change them, too.
const RECHECK: Duration = Duration::from_secs(10);

/// The flags of all targets.
#[derive(clap::Args)]
pub(super) struct TargetArgs {
    /// Kept up to date: files for Envoy, or objects of Istio
    #[arg(long, value_enum, value_name = "TARGET", default_value_t = To::Files)]
    pub(super) to: To,
    #[command(flatten)]
    pub(super) publication: PublicationArgs,
    /// WasmPlugin whose pluginConfig is kept up to date, for --to wasmplugin; default namespace: as --namespace
    #[arg(long, help_heading = HEADING, value_name = "[NAMESPACE/]NAME", required_if_eq("to", "wasmplugin"))]
    plugin: Option<String>,
    /// ServiceEntry whose endpoints are kept up to date; default namespace: that of the WasmPlugin
    #[arg(long, help_heading = HEADING, value_name = "[NAMESPACE/]NAME", required_if_eq("to", "wasmplugin"))]
    service_entry: Option<String>,
    /// Folder for the members that are remembered
    #[arg(long, help_heading = HEADING, value_name = "DIR", default_value = "/var/lib/pushring/state")]
    state: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum To {
    /// The files that Envoy watches
    Files,
    /// A WasmPlugin and a ServiceEntry of Istio
    Wasmplugin,
}

impl To {
    fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Wasmplugin => "wasmplugin",
        }
    }

    /// Returns the only target that reads a flag; `None`: both do.
    fn of(flag: &Flag) -> Option<Self> {
        match (flag.heading.as_str(), flag.name.as_str()) {
            (HEADING, _) => Some(Self::Wasmplugin),
            (_, "live" | "wasm" | "native" | "admin" | "timeout") => Some(Self::Files),
            _ => None,
        }
    }
}

impl TargetArgs {
    /// Requires that the target reads each flag.
    ///
    /// # Errors
    /// [`BadInput`]: it ignores one.
    pub(super) fn check(&self, given: &[Flag]) -> anyhow::Result<()> {
        for flag in given {
            if let Some(of) = To::of(flag).filter(|of| *of != self.to) {
                let (flag, of, to) = (&flag.name, of.name(), self.to.name());
                return Err(BadInput(format!(
                    "--{flag}: only for --to {of}, found --to {to}; remove --{flag}, or change --to"
                ))
                .into());
            }
        }
        Ok(())
    }

    /// Makes the target, without a request to it.
    ///
    /// # Errors
    /// [`BadInput`]: a flag is invalid.
    pub(super) fn target(self, access: &KubernetesArgs) -> anyhow::Result<Target> {
        if self.to == To::Files {
            return Ok(Target::Files(self.publication.options()?));
        }
        let name = |flag: &str, text: Option<String>| {
            ObjectName::parse(flag, &text.context(BadInput(format!("{flag}: missing")))?)
        };
        ensure!(
            !self.state.exists() || self.state.is_dir(),
            BadInput(format!("--state: found {}, which is no directory", self.state.display()))
        );
        Ok(Target::WasmPlugin(Box::new(WasmPlugin::new(WasmPluginOptions {
            plugin: name("--plugin", self.plugin)?,
            entry: name("--service-entry", self.service_entry)?,
            access: access.clone(),
            state: self.state,
            grace: self.publication.grace,
            delay: self.publication.delay,
        })?)))
    }
}

/// The place where the ring is live.
pub(super) enum Target {
    Files(Options),
    WasmPlugin(Box<WasmPlugin>),
}

impl Target {
    /// Requires that settings fit.
    ///
    /// # Errors
    /// [`BadInput`] with the field.
    pub(super) fn check(&self, settings: &Settings) -> anyhow::Result<()> {
        match self {
            Self::Files(_) => Ok(()),
            Self::WasmPlugin(_) => check_settings(settings),
        }
    }

    /// Returns the folder for what `discover` remembers.
    pub(super) fn state(&self) -> &Path {
        match self {
            Self::Files(options) => &options.live,
            Self::WasmPlugin(target) => target.state(),
        }
    }

    /// Reads what is live, if that can change without this process.
    ///
    /// # Errors
    /// An object cannot be read.
    pub(super) fn read(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Files(_) => Ok(()),
            Self::WasmPlugin(target) => target.read(),
        }
    }

    /// Returns whether a ring is live.
    pub(super) fn has_ring(&self) -> bool {
        match self {
            Self::Files(options) => options.live.join(RING_FILE).exists(),
            Self::WasmPlugin(target) => target.has_ring(),
        }
    }

    /// Returns the live ring, if there is one that the filter accepts.
    pub(super) fn ring(&self) -> Option<Config> {
        match self {
            Self::Files(options) => {
                RingFile::read(&options.live.join(RING_FILE)).ok().map(|ring| ring.config)
            }
            Self::WasmPlugin(target) => target.ring(),
        }
    }

    /// Publishes the members, after [`Target::read`].
    ///
    /// # Errors
    /// As [`publish`] and [`WasmPlugin::publish`].
    pub(super) fn publish(&mut self, members: &Members) -> anyhow::Result<Report> {
        match self {
            Self::Files(options) => publish(members, options),
            Self::WasmPlugin(target) => target.publish(members),
        }
    }

    /// Returns when to publish again without an event, if a publication kept something or not.
    pub(super) fn again(&self, kept: bool) -> Option<Duration> {
        match self {
            Self::Files(options) => kept.then_some(options.grace),
            Self::WasmPlugin(target) => Some(if kept { target.grace().min(RECHECK) } else { RECHECK }),
        }
    }
}

/// Returns whether a publication replaced the ring.
pub(super) fn replaced_ring(report: &Report) -> bool {
    [RING_FILE, WASM_PLUGIN].iter().any(|ring| report.moved.contains(ring))
}
