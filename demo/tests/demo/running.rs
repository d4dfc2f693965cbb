//! A running demo as `make run` starts it, on free ports and in its own folder.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use pushring_harness::{poll_until, tools};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// The demo and its output. Dropping it kills the demo.
pub(crate) struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
    /// The part of the output before this offset was read.
    read: usize,
    _dir: Option<tempfile::TempDir>,
}

impl Running {
    /// Starts a demo on any free ports.
    pub(crate) fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut running = Self::start_in(dir.path(), &[&["--port", "0"], args].concat());
        running._dir = Some(dir);
        running
    }

    /// Starts one in a folder of the caller.
    pub(crate) fn start_in(dir: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushring-demo"));
        command.args(args).arg("--dir").arg(dir).current_dir(tools::repository());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (out, copy) = (child.stdout.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                *copy.lock().unwrap() += &format!("{line}\n");
            }
        });
        Self { child, said, read: 0, _dir: None }
    }

    /// Waits for a text behind those that were waited for before; gives its line.
    pub(crate) fn wait(&mut self, text: &str) -> String {
        let found = poll_until(&format!("{text:?} to be said"), || {
            let said = self.said.lock().unwrap();
            let at = self.read + said[self.read..].find(text)?;
            let end = at + said[at..].find('\n')?;
            let start = said[..at].rfind('\n').map_or(0, |newline| newline + 1);
            Some((at + text.len(), said[start..end].to_owned()))
        });
        match found {
            Ok((read, line)) => {
                self.read = read;
                line
            }
            Err(error) => panic!("{error}; it said:\n{}", self.said()),
        }
    }

    /// All it has said.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The commands it printed that contain `part`, as printed.
    pub(crate) fn commands(&self, part: &str) -> Vec<String> {
        // A long command has several lines.
        let said = self.said().replace(" \\\n      ", " ");
        let commands = said.lines().filter_map(|line| line.strip_prefix("    "));
        commands.filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// The only command that contains `part`.
    pub(crate) fn command(&self, part: &str) -> String {
        match self.commands(part).as_slice() {
            [one] => one.clone(),
            other => panic!("{part:?} is in {other:?}"),
        }
    }

    /// The pushgateways that it named with their processes.
    pub(crate) fn gateways(&self) -> Vec<SocketAddr> {
        let said = self.said();
        let pages = said.lines().filter_map(|line| line.trim().strip_prefix("pushgateway  http://"));
        pages.filter_map(|line| line.split_once('/')?.0.parse().ok()).collect()
    }

    /// The pushgateway that is no member at the start.
    pub(crate) fn spare(&self) -> SocketAddr {
        let said = self.said();
        let mut pages = said.lines().filter_map(|line| line.trim().strip_prefix("spare        http://"));
        pages.next().unwrap().split_once('/').unwrap().0.parse().unwrap()
    }

    /// The processes that it started and that run.
    pub(crate) fn children(&self) -> BTreeSet<u32> {
        let parent = |process: u32| -> Option<u32> {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
        };
        let all = fs::read_dir("/proc").unwrap().flatten();
        let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        all.filter(|process| parent(*process) == Some(self.child.id())).collect()
    }

    /// Sends a signal to the demo and waits for its end; gives the exit code.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.exit_code()
    }

    /// Waits for its end.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        poll_until("the demo to end", || self.child.try_wait().unwrap()).unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Killed when dropped, also by a failing test.
pub(crate) struct Started(Child);

impl Started {
    /// Sends a signal and waits for the end.
    pub(crate) fn end(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts in the background what the demo prints for another terminal.
pub(crate) fn start(command: &str) -> Started {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command}")]).current_dir(tools::repository());
    Started(shell.stderr(Stdio::null()).spawn().unwrap())
}

/// Runs a printed command in a shell in the folder of the repository; gives its output.
pub(crate) fn shell(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).current_dir(tools::repository()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let missing = output.status.code() == Some(127);
    assert!(!missing, "{stderr}: install it, on Debian by `apt-get install curl sed`");
    assert!(output.status.success(), "`{command}`: {}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until none of the processes is there and no server listens at the addresses.
pub(crate) fn assert_gone(processes: &BTreeSet<u32>, addresses: &[SocketAddr]) {
    let left = || -> BTreeSet<u32> {
        let runs = |process: &&u32| {
            Pid::from_raw(**process as i32).is_some_and(|process| test_kill_process(process).is_ok())
        };
        processes.iter().filter(runs).copied().collect()
    };
    poll_until("all processes to be gone", || left().is_empty().then_some(()))
        .unwrap_or_else(|error| panic!("{error}: {:?}", left()));
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "a server still listens at {address}");
    }
}
