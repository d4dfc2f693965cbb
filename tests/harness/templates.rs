//! The shipped templates and pushring.hcl with the folder of an Envoy in place of /etc/pushring.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;

use anyhow::{Context, Result, ensure};

use crate::consul::ConsulTemplate;
use crate::envoy_dir::Layout;
use crate::module::Module;
use crate::{process, tools};

/// The folder `consul-template` next to the live one.
#[derive(Debug, Clone)]
pub struct Templates {
    dir: PathBuf,
}

impl Templates {
    /// Copies the templates; `edits` replace parts of `settings.yaml`. The mode comes from the layout.
    ///
    /// # Errors
    /// If a file cannot be written, or an edit does not fit the shipped settings.
    pub fn install(layout: &Layout, edits: &[(&str, &str)]) -> Result<Self> {
        let root = layout.live().parent().context("the live folder has no parent")?.to_owned();
        let templates = Self { dir: root.join("consul-template") };
        fs::create_dir_all(&templates.dir)?;
        let shipped = tools::repository().join("consul-template");
        let root = root.to_str().context("the folder's name is not UTF-8")?;
        for entry in fs::read_dir(&shipped)? {
            let path = entry?.path();
            if path.is_dir() {
                continue;
            }
            let name = path.file_name().unwrap_or_default();
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            fs::write(templates.dir.join(name), text.replace("/etc/pushring", root))?;
        }
        let mode = format!("mode: {}", layout.mode());
        let edits = [&[("mode: cluster", mode.as_str())], edits].concat();
        templates.edit("settings.yaml", &edits)?;
        if layout.form() == Module::Native {
            let (flag, file) = (format!("--wasm {root}/"), Module::Wasm.file());
            let native = (&*format!("{flag}{file}"), &*format!("--native {root}/{}", Module::Native.file()));
            templates.edit("pushring.hcl", &[native])?;
        }
        Ok(templates)
    }

    /// Replaces parts of an installed file.
    ///
    /// # Errors
    /// If the file does not contain a part.
    pub fn edit(&self, file: &str, edits: &[(&str, &str)]) -> Result<()> {
        let path = self.dir.join(file);
        let mut text = fs::read_to_string(&path)?;
        for (old, new) in edits {
            ensure!(text.contains(old), "{file} does not have `{old}`");
            text = text.replace(old, new);
        }
        Ok(fs::write(path, text)?)
    }

    /// Sets the address of Envoy's admin interface in the arguments of publish.
    ///
    /// # Errors
    /// As [`Templates::edit`].
    pub fn set_admin(&self, admin: SocketAddr) -> Result<()> {
        let path = self.dir.join("pushring.hcl");
        let text = fs::read_to_string(&path)?;
        let (head, rest) = text.split_once("--admin ").context("no --admin in pushring.hcl")?;
        let (_, tail) = rest.split_once(' ').context("nothing after --admin in pushring.hcl")?;
        Ok(fs::write(path, format!("{head}--admin http://{admin} {tail}"))?)
    }

    /// Returns the path of the installed pushring.hcl.
    #[must_use]
    pub fn hcl(&self) -> PathBuf {
        self.dir.join("pushring.hcl")
    }

    /// Renders and publishes once, as before Envoy's start.
    ///
    /// # Errors
    /// If it fails, with its output.
    pub fn once(&self, consul: SocketAddr) -> Result<Output> {
        let mut command = process::command(&tools::find("consul-template")?);
        command.env("PATH", tools::path()?).arg("-once").arg(format!("-consul-addr={consul}"));
        let output = command.arg("-config").arg(self.hcl()).output()?;
        ensure!(output.status.success(), "consul-template: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }

    /// Returns the path of the installed settings.yaml.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.dir.join("settings.yaml")
    }

    /// Starts consul-template as a daemon.
    ///
    /// # Errors
    /// As [`ConsulTemplate::start`].
    pub fn start(&self, consul: SocketAddr) -> Result<ConsulTemplate> {
        ConsulTemplate::start(&self.dir, consul, &["-config".as_ref(), self.hcl().as_os_str()])
    }
}
