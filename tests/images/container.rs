//! The command's image in a container of runc: a read-only root, the image's own user, no capability.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pushring_harness::{process, tools};
use rustix::process::geteuid;
use serde_json::{Value, json};

use crate::registry::{PLATFORM, Registry, succeeds};

pub(crate) struct Container {
    bundle: PathBuf,
    /// The user of the image.
    pub(crate) user: u32,
    entrypoint: Vec<Value>,
}

impl Container {
    /// Pulls the image of the command.
    pub(crate) fn pull(registry: &Registry) -> Self {
        assert!(geteuid().is_root(), "runc gives the container another user: run this suite as root");
        let bundle = registry.dir.path().join("bundle");
        registry.unpack("pushring", PLATFORM, &bundle.join("rootfs"));
        let config = &registry.json("config", "pushring", PLATFORM)["config"];
        let (user, group) = config["User"].as_str().unwrap().split_once(':').unwrap();
        assert_eq!(user, group);
        let entrypoint = config["Entrypoint"].as_array().unwrap().clone();
        Self { bundle, user: user.parse().unwrap(), entrypoint }
    }

    /// Returns a command that runs `pushring` in a new container, with these folders or files of the machine at the same
    /// paths inside. It has the network of the machine, and ends with the test.
    pub(crate) fn command(&self, args: &[&str], read_only: &[&Path], writable: &[&Path]) -> Command {
        let bundle = tempfile::tempdir_in(self.bundle.parent().unwrap()).unwrap().keep();
        succeeds(
            runc(Command::new(tools::debian("sbin/runc").unwrap())).args(["spec", "--bundle"]).arg(&bundle),
        );
        let file = bundle.join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let own = args.iter().map(|&argument| json!(argument));
        spec["process"] = json!({
            "args": self.entrypoint.iter().cloned().chain(own).collect::<Vec<_>>(),
            "user": {"uid": self.user, "gid": self.user},
            "cwd": "/",
            "env": [],
            "capabilities": {},
            "noNewPrivileges": true,
        });
        spec["root"] = json!({"path": self.bundle.join("rootfs"), "readonly": true});
        // The network is that of the machine, for its Envoy.
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "network");
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["type"] == "proc" || mount["destination"] == "/dev");
        let mount = |path: &&Path, mode| json!({"destination": path, "source": path, "type": "bind", "options": ["rbind", mode]});
        mounts.extend(read_only.iter().map(|path| mount(path, "ro")));
        mounts.extend(writable.iter().map(|path| mount(path, "rw")));
        fs::write(&file, spec.to_string()).unwrap();

        // Namespaces of their own end the container with the test, even if the test is killed.
        let mut command = runc(process::command(Path::new("unshare")));
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
        command.arg(tools::debian("sbin/runc").unwrap());
        command.arg("--root").arg(bundle.join("state")).args(["run", "--bundle"]).arg(&bundle);
        command.arg(bundle.file_name().unwrap());
        command
    }
}

/// Adds the library of Debian's package that runc links.
fn runc(mut command: Command) -> Command {
    command.env("LD_LIBRARY_PATH", tools::debian_libraries().unwrap());
    command
}
