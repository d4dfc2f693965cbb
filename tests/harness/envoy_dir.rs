//! The shipped files of one Envoy with a folder of the caller in place of /etc/pushring.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pushring::fleet::render;
use serde_json::Value;

use crate::envoy_files::{self, Mode};
use crate::module::Module;
use crate::tools;

/// The shipped port of the admin interface.
const ADMIN: &str = ", port_value: 9901 ";

/// Ports on 127.0.0.1; 0 is any free port, and for the admin interface its usual port on an address of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// For pushes.
    pub push: u16,
    /// For the gateways' own pages and API, which bypass the ring.
    pub operator: u16,
    /// For Envoy's admin interface.
    pub admin: u16,
    /// For `/metrics` and health checks.
    pub metrics: u16,
}

/// The files of one Envoy, in a folder in place of /etc/pushring.
#[derive(Debug, Clone)]
pub struct Layout {
    dir: PathBuf,
    mode: Mode,
    module: Module,
}

impl Layout {
    /// Creates the folder `dir` with the shipped bootstrap of `mode` and the compiled filter. Write the live files
    /// before Envoy starts.
    ///
    /// # Errors
    /// If the filter was not built, or a file cannot be written.
    pub fn create(dir: &Path, mode: Mode, ports: Ports) -> Result<Self> {
        Self::patched(dir, mode, ports, &[])
    }

    /// As [`Layout::create`], with patches from `examples/security/` and `examples/observability/` applied to the
    /// bootstrap, and with the files that they need.
    ///
    /// # Errors
    /// As [`Layout::create`], or if a patch does not apply.
    pub fn patched(dir: &Path, mode: Mode, ports: Ports, patches: &[&str]) -> Result<Self> {
        Self::with_module(Module::chosen(), dir, mode, ports, patches)
    }

    /// As [`Layout::patched`], with this form of the filter, whichever the suites test.
    ///
    /// # Errors
    /// As [`Layout::patched`].
    pub fn with_module(
        module: Module,
        dir: &Path,
        mode: Mode,
        ports: Ports,
        patches: &[&str],
    ) -> Result<Self> {
        let layout = Self { dir: dir.to_owned(), mode, module };
        fs::create_dir_all(layout.live())?;
        let dir = dir.to_str().context("the folder's name is not UTF-8")?;
        let shipped = module.bootstrap(mode);
        let mut text = match patches {
            [] => fs::read_to_string(&shipped).with_context(|| shipped.display().to_string())?,
            _ => layout.patch(&shipped, patches)?,
        };
        text = replace(&text, "address: 0.0.0.0, port_value: 9091 ", ports.push)?;
        if mode != Mode::Redirect {
            text = replace(&text, "address: 127.0.0.1, port_value: 9092 ", ports.operator)?;
            // No server has port 0: what runs on the machine does not answer for `pushring serve`.
            text = replace(&text, "address: 127.0.0.1, port_value: 9093 ", 0)?;
        }
        text = replace(&text, "address: 0.0.0.0, port_value: 9087 ", ports.metrics)?;
        if ports.admin != 0 {
            text = replace(&text, "address: 127.0.0.1, port_value: 9901 ", ports.admin)?;
        }
        fs::write(layout.bootstrap(), text.replace("/etc/pushring", dir))?;
        layout.move_admin()?;
        fs::copy(module.built()?, layout.module())?;
        Ok(layout)
    }

    /// Gives an admin interface with the shipped port an address of its own. The metrics listener has to know it before Envoy
    /// starts; on Linux all of 127.0.0.0/8 is this machine, and no other program uses one of eight million addresses.
    pub(crate) fn move_admin(&self) -> Result<()> {
        let text = fs::read_to_string(self.bootstrap())?;
        let Some((_, address)) = text.split_once(ADMIN).and_then(|(before, _)| before.rsplit_once(' '))
        else {
            return Ok(());
        };
        let own = Ipv4Addr::new(127, fastrand::u8(128..), fastrand::u8(..), fastrand::u8(1..255));
        let moved = text.replace(&format!("{address}{ADMIN}"), &format!("{own}{ADMIN}"));
        Ok(fs::write(self.bootstrap(), moved)?)
    }

    /// Sets the address of `pushring serve`. Without it, Envoy finds none.
    ///
    /// # Errors
    /// If the bootstrap lacks the cluster, as in redirect mode.
    pub fn serve_at(&self, address: SocketAddr) -> Result<()> {
        let text = fs::read_to_string(self.bootstrap())?;
        let (start, cluster) =
            text.split_once("cluster_name: pushring-serve").context("no cluster pushring-serve")?;
        let cluster = cluster.replacen("port_value: 0 ", &format!("port_value: {} ", address.port()), 1);
        Ok(fs::write(self.bootstrap(), format!("{start}cluster_name: pushring-serve{cluster}"))?)
    }

    /// Replaces texts in the bootstrap, everywhere they occur.
    ///
    /// # Errors
    /// If the bootstrap lacks one of them.
    pub fn edit(&self, edits: &[(&str, &str)]) -> Result<()> {
        let mut text = fs::read_to_string(self.bootstrap())?;
        for (from, to) in edits {
            ensure!(text.contains(from), "the shipped {} does not have `{from}`", self.bootstrap().display());
            text = text.replace(from, to);
        }
        Ok(fs::write(self.bootstrap(), text)?)
    }

    /// Returns the shipped text with the patches, as `patch` applies them.
    fn patch(&self, shipped: &Path, patches: &[&str]) -> Result<String> {
        let copy = self.dir.join("patched.yaml");
        fs::copy(shipped, &copy)?;
        let examples =
            ["security", "observability"].map(|name| tools::repository().join("examples").join(name));
        for patch in patches {
            let inputs = examples.iter().map(|folder| folder.join(format!("{patch}.patch")));
            let input =
                inputs.into_iter().find(|path| path.exists()).with_context(|| format!("no {patch}.patch"))?;
            let output = Command::new("patch")
                .args(["--fuzz=0", "-i"])
                .args([&input, &copy])
                .output()
                .context("patch")?;
            let text = String::from_utf8_lossy(&output.stdout);
            ensure!(output.status.success(), "{patch}.patch does not apply to {}: {text}", shipped.display());
        }
        let folder = self.dir.join("security");
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(examples[0].join("files"))? {
            let entry = entry?;
            let text = fs::read_to_string(entry.path())?;
            let text = text.replace("/etc/pushring", &self.dir.to_string_lossy());
            fs::write(folder.join(entry.file_name()), text)?;
        }
        // readers.patch opens the operator listener to other machines.
        Ok(fs::read_to_string(copy)?
            .replace("address: 0.0.0.0, port_value: 9092", "address: 127.0.0.1, port_value: 9092"))
    }

    /// Returns the folder in place of /etc/pushring.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the folder that Envoy watches.
    #[must_use]
    pub fn live(&self) -> PathBuf {
        self.dir.join("live")
    }

    /// Returns the path of Envoy's bootstrap.
    #[must_use]
    pub fn bootstrap(&self) -> PathBuf {
        self.dir.join(format!("{}.yaml", self.mode))
    }

    /// Returns the form of the filter.
    #[must_use]
    pub fn form(&self) -> Module {
        self.module
    }

    /// Returns the path of the filter.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        self.dir.join(self.module.file())
    }

    /// Returns the mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Writes all live files for a configuration: clusters or endpoints of its members, then the ring.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, config: &Value) -> Result<()> {
        let json = serde_json::to_string_pretty(config)?;
        self.write_upstreams(&envoy_files::members(&json))?;
        self.write_ring(&json)
    }

    /// Writes `ring.yaml` with this text as the filter's configuration.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_ring(&self, json: &str) -> Result<()> {
        self.write_live("ring.yaml", &self.ring(json))
    }

    /// Renders `ring.yaml` with `json` (which may be anything, to test bad ones) as the filter's configuration.
    #[must_use]
    pub fn ring(&self, json: &str) -> String {
        render::ring(json, &Path::new("/etc/pushring").join(self.module.file()))
    }

    /// Writes `clusters.yaml` or `endpoints.yaml`; nothing in redirect mode.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_upstreams(&self, members: &[envoy_files::Member]) -> Result<()> {
        let Some(file) = self.mode.upstream_file() else { return Ok(()) };
        let text = envoy_files::upstreams(self.mode, members)?.unwrap_or_default();
        self.write_live(file, &text)
    }

    /// Moves a complete file into the live folder, as Envoy's file watch requires.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_live(&self, name: &str, text: &str) -> Result<()> {
        // The shipped text names /etc/pushring. The temporary file is outside the watched folder.
        let dir = self.dir.to_str().context("the folder's name is not UTF-8")?;
        let file = tempfile::NamedTempFile::new_in(&self.dir)?;
        fs::write(file.path(), text.replace("/etc/pushring", dir))?;
        file.persist(self.live().join(name))?;
        Ok(())
    }
}

/// Replaces a shipped socket address by 127.0.0.1 and another port.
fn replace(text: &str, shipped: &str, port: u16) -> Result<String> {
    ensure!(text.contains(shipped), "the shipped bootstrap does not have `{shipped}`");
    Ok(text.replace(shipped, &format!("address: 127.0.0.1, port_value: {port} ")))
}
