//! A network for one program alone, in which pods can have addresses. A user who may create user namespaces needs no other
//! rights, and the addresses end with the program.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Present in the environment inside.
const INSIDE: &str = "PUSHRING_NETWORK";

/// Starts this program again in namespaces of its own for users and networks, with the same process ID; returns inside.
///
/// # Errors
/// If `unshare` or `ip` is not installed, or the system forbids it.
pub fn enter() -> Result<()> {
    if env::var_os(INSIDE).is_some() {
        return run(&["link", "set", "lo", "up"]);
    }
    let unshare = ["--user", "--map-root-user", "--net"];
    let allowed = Command::new("unshare").args(unshare).arg("true").output().context("unshare")?;
    ensure!(
        allowed.status.success(),
        "a network for the pods: {}; allow user namespaces \
         (sysctl kernel.apparmor_restrict_unprivileged_userns=0)",
        String::from_utf8_lossy(&allowed.stderr).trim()
    );
    let program = env::current_exe()?;
    let error = Command::new("unshare")
        .args(unshare)
        .arg(program)
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    bail!("unshare: {error}")
}

/// Makes every address of a range, such as `10.77.0.0/24`, one of this machine.
///
/// # Errors
/// If `ip` is not installed, or the caller has no network of its own.
pub fn add(range: &str) -> Result<()> {
    run(&["address", "replace", range, "dev", "lo"])
}

/// Returns the command for a shell in this network.
#[must_use]
pub fn enter_command() -> String {
    format!("nsenter -t {} -U -n --preserve-credentials", std::process::id())
}

fn run(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output().context("ip (of iproute2)")?;
    ensure!(output.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(())
}
