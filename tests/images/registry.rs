//! A real registry with the images of the release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pushring_harness::{Process, process, tools};
use serde_json::Value;
use tempfile::TempDir;

/// The version of the release.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The platform of this machine, in the words of images.
pub(crate) const PLATFORM: &str = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };

pub(crate) struct Registry {
    /// Host and port.
    pub(crate) address: String,
    _process: Process,
    pub(crate) dir: TempDir,
}

impl Registry {
    /// Starts an empty registry.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("registry.yaml");
        let data = dir.path().join("data").display().to_string();
        let settings = serde_json::json!({
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": data}},
            "http": {"addr": "127.0.0.1:0"},
            "log": {"accesslog": {"disabled": true}, "level": "info"},
        });
        fs::write(&config, settings.to_string()).unwrap();
        let mut command = process::command(&tools::find("registry").unwrap());
        command.arg("serve").arg(config).env("OTEL_TRACES_EXPORTER", "none");
        let mut process = Process::start("registry", command, dir.path()).unwrap();
        let address = |process: &Process| {
            let (_, rest) =
                process.log().split_once("listening on ").map(|(a, b)| (a.len(), b.to_owned()))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let address = process.wait_until("listening", address).unwrap();
        Self { address, _process: process, dir }
    }

    /// Starts a registry and pushes both images by the commands of the documents.
    pub(crate) fn with_images() -> Self {
        let registry = Self::start();
        let page = fs::read_to_string(tools::repository().join("docs/install/images.md")).unwrap();
        let blocks = page.split("```sh\n").skip(1).filter_map(|block| Some(block.split_once("```")?.0));
        let script: String = blocks.filter(|block| block.contains("crane push")).collect();
        assert!(script.contains("pushring-filter"), "docs/install/images.md pushes no image:\n{script}");
        for image in ["pushring", "pushring-filter"] {
            let name = format!("{image}-{VERSION}.image.tar");
            fs::copy(dist(&name), registry.dir.path().join(&name)).unwrap();
        }
        let tools = tools::find("crane").unwrap();
        let path = [tools.parent().unwrap().to_str().unwrap(), &std::env::var("PATH").unwrap()].join(":");
        let mut shell = Command::new("sh");
        shell.args(["-euxc", &script.replace("registry.example.com", &registry.address)]);
        succeeds(shell.current_dir(registry.dir.path()).env("PATH", path));
        registry
    }

    /// Returns the reference of an image of the release.
    pub(crate) fn reference(&self, image: &str) -> String {
        format!("{}/pushring/{image}:{VERSION}", self.address)
    }

    /// Runs `crane` and returns what it prints.
    pub(crate) fn crane(&self, args: &[&str]) -> String {
        let mut command = Command::new(tools::find("crane").unwrap());
        let output = succeeds(command.args(args).current_dir(self.dir.path()));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Returns the manifest or the configuration of an image for a platform.
    pub(crate) fn json(&self, what: &str, image: &str, platform: &str) -> Value {
        let text = self.crane(&[what, "--platform", platform, &self.reference(image)]);
        serde_json::from_str(&text).unwrap()
    }

    /// Unpacks the files of an image into a new folder.
    pub(crate) fn unpack(&self, image: &str, platform: &str, folder: &Path) {
        let archive = self.dir.path().join("files.tar");
        let archive = archive.to_str().unwrap();
        self.crane(&["export", "--platform", platform, &self.reference(image), archive]);
        fs::create_dir_all(folder).unwrap();
        succeeds(Command::new("tar").args(["--no-same-owner", "-xf", archive, "-C"]).arg(folder));
    }
}

/// Returns the path of a file of the release.
pub(crate) fn dist(name: &str) -> PathBuf {
    let path = tools::repository().join("target/dist").join(name);
    assert!(path.exists(), "{} is missing: run `make dist`", path.display());
    path
}

/// Runs a command that has to succeed.
pub(crate) fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    output
}
