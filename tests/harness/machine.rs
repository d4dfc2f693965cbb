//! Linux namespaces, in which a test has files in /etc and an address on a network for itself.
//!
//! Documents name addresses such as 10.0.0.1:9091 and files such as /etc/pushring/cluster.yaml. Inside, both are free, so
//! a test can do exactly what a document says. A user who may create user namespaces needs no other rights.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;

/// Present in the environment of a test that is inside.
const INSIDE: &str = "PUSHRING_TEST_IS_INSIDE";

/// Runs `test` in namespaces of its own for users, networks, files and processes, which end with it. `name` is that of the
/// calling test as `cargo test` prints it: the test program runs this test again inside.
///
/// # Panics
/// If the test fails, or namespaces are not available.
#[track_caller]
pub fn isolated(name: &str, test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        prepare().unwrap_or_else(|error| panic!("cannot prepare the namespaces: {error:#}"));
        return test();
    }
    let mut command = process::command(Path::new("unshare"));
    command.args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"]);
    command.args(["--mount-proc", "--"]).arg(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().expect("unshare of util-linux starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && stdout.contains(" 1 passed"),
        "{name} failed in namespaces of its own ({}). If `unshare --user --net true` fails too, allow user \
         namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0).\n{stdout}\n{stderr}",
        output.status
    );
}

/// Makes /etc writable without changing the real one, and creates a network with this machine at 10.0.1.1.
fn prepare() -> Result<()> {
    run("mount -t tmpfs none /run")?;
    std::fs::create_dir_all("/run/etc/upper")?;
    std::fs::create_dir_all("/run/etc/work")?;
    run("mount -t overlay none -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc")?;
    std::fs::create_dir_all("/etc/pushring")?;
    run("mount -t tmpfs none /etc/pushring")?;
    // An Envoy finds the one that it replaces by a name there, which is the same in each test.
    run("mount -t tmpfs none /dev/shm")?;
    run("ip link set lo up")?;
    run("ip link add machines type bridge")?;
    run("ip address add 10.0.1.1/8 dev machines")?;
    run("ip link set machines up")
}

/// Adds a machine with these addresses to the network; they must be in 10.0.0.0/8.
///
/// # Errors
/// If iproute2 is not installed, or the machine exists already.
pub fn add(machine: &str, addresses: &[&str]) -> Result<()> {
    run(&format!("ip netns add {machine}"))?;
    run(&format!("ip link add to-{machine} type veth peer name eth0 netns {machine}"))?;
    run(&format!("ip link set to-{machine} master machines up"))?;
    for address in addresses {
        run(&format!("ip -n {machine} address add {address}/8 dev eth0"))?;
    }
    run(&format!("ip -n {machine} link set lo up"))?;
    run(&format!("ip -n {machine} link set eth0 up"))
}

/// Takes a machine off the network without a word: it answers no packet anymore.
///
/// # Errors
/// If there is no such machine.
pub fn vanish(machine: &str) -> Result<()> {
    run(&format!("ip -n {machine} address flush dev eth0"))
}

/// Removes a machine whose programs have ended.
///
/// # Errors
/// If there is no such machine.
pub fn remove(machine: &str) -> Result<()> {
    run(&format!("ip link delete to-{machine}"))?;
    run(&format!("ip netns delete {machine}"))
}

/// Returns a command for [`crate::Process::start`] that runs on another machine of the network. Files are the same.
#[must_use]
pub fn on(machine: &str, program: &Path) -> Command {
    let mut command = process::command(Path::new("nsenter"));
    command.arg(format!("--net=/run/netns/{machine}")).arg("--").arg(program);
    command
}

fn run(line: &str) -> Result<()> {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).output().with_context(|| format!("cannot run {line}"))?;
    ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
