//! A machine whose process 1 is systemd, in namespaces of this one.
//!
//! The units run as on any machine: users, order, sandbox, journal, restarts. Two things differ. The kernel is this one, and
//! the group of processes has no controllers, so that limits of memory and of the number of tasks have no effect.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pushring_harness::{Process, poll_until, process, tools};
use tempfile::TempDir;

/// Ends a command that hangs. A drain waits for `--settle` and for the disks of the gateways.
const LIMIT_SECONDS: &str = "170";

/// A running machine. Dropping it leaves nothing.
pub(crate) struct Machine {
    process: Process,
    cgroup: Cgroup,
    /// The folder of its files on this machine, and of its log.
    _dir: TempDir,
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    /// Boots a bare machine. It has Envoy, Pushgateway, Consul and promtool in /usr/local/bin, and the package in /root.
    pub(crate) fn boot(name: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "only root can boot a machine; `make e2e-dist` uses sudo"
        );
        let dir = tempfile::tempdir().unwrap();
        let files = dir.path().join("files");
        for folder in ["usr/local/bin", "root"] {
            fs::create_dir_all(files.join(folder)).unwrap();
        }
        for program in ["envoy", "pushgateway", "consul"] {
            fs::copy(tools::find(program).unwrap(), files.join("usr/local/bin").join(program)).unwrap();
        }
        let promtool = tools::debian("bin/promtool").unwrap();
        fs::copy(promtool, files.join("usr/local/bin/promtool")).unwrap();
        let package = package();
        fs::copy(&package, files.join("root").join(package.file_name().unwrap())).unwrap();
        let cgroup = Cgroup::create();
        let mut command = process::command(Path::new("unshare"));
        command.args(["--mount", "--pid", "--fork", "--kill-child", "bash"]);
        command
            .arg(tools::repository().join("tests/systemd/machine.sh"))
            .arg(dir.path())
            .arg(&cgroup.0)
            .arg(name);
        let process = Process::start("machine", command, dir.path()).unwrap();
        let mut machine = Self { process, cgroup, _dir: dir };
        machine.wait_booted();
        machine
    }

    /// Restarts the machine; its files stay.
    pub(crate) fn reboot(&mut self) {
        let before = self.systemd().expect("the machine runs");
        let _ = self.run("systemctl reboot");
        poll_until("the end of the machine", || (self.systemd() != Some(before)).then_some(())).unwrap();
        self.wait_booted();
    }

    fn wait_booted(&mut self) {
        let cgroup = self.cgroup.0.clone();
        let booted = |_: &Process| {
            let state = enter(&cgroup)?.arg("systemctl is-system-running").output().ok()?;
            ["running", "degraded"].contains(&String::from_utf8_lossy(&state.stdout).trim()).then_some(())
        };
        self.process.wait_until("booted", booted).unwrap();
    }

    /// Returns the process ID that systemd has outside.
    fn systemd(&self) -> Option<u32> {
        systemd(&self.cgroup.0)
    }

    /// Puts a cable between two machines, `eth0` in each.
    pub(crate) fn connect(&self, other: &Machine) {
        let (here, there) = (self.systemd().unwrap().to_string(), other.systemd().unwrap().to_string());
        let link = ["link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", &there];
        let added =
            Command::new("nsenter").args(["--target", &here, "--net", "ip"]).args(link).status().unwrap();
        assert!(added.success());
        self.ok("ip link set eth0 up");
        other.ok("ip link set eth0 up");
    }

    /// Runs commands as root in /root until one fails.
    pub(crate) fn run(&self, script: &str) -> Outcome {
        let mut command = enter(&self.cgroup.0).expect("the machine runs");
        let output = command.arg(format!("set -e -o pipefail; cd /root\n{script}")).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Runs commands that succeed; returns their standard output.
    #[track_caller]
    pub(crate) fn ok(&self, script: &str) -> String {
        let outcome = self.run(script);
        assert_eq!(outcome.code, 0, "{script}\n{}{}{}", outcome.stdout, outcome.stderr, self.journal());
        outcome.stdout
    }

    /// Waits until commands succeed; returns their standard output.
    #[track_caller]
    pub(crate) fn wait(&self, script: &str) -> String {
        let succeeded = || Some(self.run(script)).filter(|outcome| outcome.code == 0);
        match poll_until(script, succeeded) {
            Ok(outcome) => outcome.stdout,
            Err(error) => panic!("{error}\n{}", self.journal()),
        }
    }

    /// Returns the units that have stopped so far, in their order; the journal of all boots, whose ID is that of the kernel.
    pub(crate) fn stopped(&self) -> Vec<String> {
        let journal = self.ok("journalctl --no-pager --output cat");
        let names = journal.lines().filter_map(|line| line.strip_prefix("Stopped ")?.split_once(".service"));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let mut command = enter(&self.cgroup.0).expect("the machine runs");
        let mut child = command
            .arg(format!("mkdir -p \"$(dirname '{path}')\"; cat > '{path}'"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{path}");
    }

    /// Returns the last lines of the units' logs, without those of Envoy's start.
    pub(crate) fn journal(&self) -> String {
        self.run("journalctl --no-pager --output short-precise | grep -v '\\]\\[info\\]' | tail -60").stdout
    }
}

/// Returns a command that runs a script of bash in the machine, with nothing of this process' environment.
fn enter(cgroup: &Path) -> Option<Command> {
    let mut command = Command::new("nsenter");
    command.args([
        "--target",
        &systemd(cgroup)?.to_string(),
        "--mount",
        "--pid",
        "--net",
        "--uts",
        "--ipc",
        "--cgroup",
        "--",
    ]);
    command.args(["env", "-i", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"]);
    command.args(["timeout", "--kill-after=5", LIMIT_SECONDS, "bash", "-c"]).stdin(Stdio::null());
    Some(command)
}

/// Returns the process ID of the machine's process 1; systemd moves itself to this group.
fn systemd(cgroup: &Path) -> Option<u32> {
    fs::read_to_string(cgroup.join("machine/init.scope/cgroup.procs")).ok()?.lines().next()?.parse().ok()
}

/// Returns the package that `make dist` built.
fn package() -> PathBuf {
    let folder = tools::repository().join("target/dist");
    let name = format!("pushring_{}_", env!("CARGO_PKG_VERSION"));
    let found = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()).find(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with(&name) && file.ends_with(".deb")
    });
    found.unwrap_or_else(|| panic!("no {name}*.deb in {}; run `make dist`", folder.display()))
}

/// A group of processes for a machine.
struct Cgroup(PathBuf);

impl Cgroup {
    fn create() -> Self {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mounted = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|mount| mount[2] == "cgroup2");
        let root = PathBuf::from(mounted.expect("a mounted cgroup2")[1]);
        let name = format!("pushring-{}-{:x}", std::process::id(), fastrand::u32(..));
        let path = root.join(name);
        fs::create_dir_all(path.join("machine")).unwrap();
        Self(path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The processes were killed with the machine; a group can be removed when the kernel has seen their end.
        let removed = poll_until("the end of the machine's processes", || remove(&self.0).then_some(()));
        if let Err(error) = removed
            && !std::thread::panicking()
        {
            panic!("{error}");
        }
    }
}

/// Removes a group and those in it; returns whether it is gone.
fn remove(cgroup: &Path) -> bool {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    fs::remove_dir(cgroup).is_ok() || !cgroup.exists()
}
