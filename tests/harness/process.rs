//! A server process that ends at the latest with the process that started it; its output is in a file.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::poll_until;

/// Number of log lines that a failing test shows.
const TAIL: usize = 40;

/// A running server. Dropping it kills the process and everything that it started.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// Returns a command for [`Process::start`], to which the caller adds arguments.
///
/// On Linux the kernel kills the process even if its parent is killed and runs no destructor.
#[must_use]
pub fn command(program: &Path) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Returns a size of memory in `/proc/PID/status`, such as `RssAnon`, in bytes.
///
/// # Errors
/// If the process has ended.
pub fn memory(id: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let size =
        |line: &str| line.strip_prefix(field)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.parse().ok();
    let kib: u64 =
        status.lines().find_map(size).with_context(|| format!("no {field} in /proc/{id}/status"))?;
    Ok(kib << 10)
}

impl Process {
    /// Starts `command` with its output in `<dir>/<name>.log`. The process group is new, so that Ctrl-C in a terminal
    /// reaches only the caller, who then stops the servers in order.
    ///
    /// # Errors
    /// If the program or the log file cannot be opened.
    pub fn start(name: &str, mut command: Command, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let child = spawn(command).with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Returns the process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the exit status; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Returns its output so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Returns the CPU time that it has used.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // User and system time, in hundredths of a second, are the 12th and 13th field after the name.
        let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(10 * ticks))
    }

    /// Returns the path of its log.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Waits until `ready` returns a value.
    ///
    /// # Errors
    /// If the process ends or does not become ready in time, with the end of its log.
    pub fn wait_until<T>(&mut self, what: &str, mut ready: impl FnMut(&Self) -> Option<T>) -> Result<T> {
        let outcome = poll_until(&format!("{}: {what}", self.name), || {
            if let Some(value) = ready(self) {
                return Some(Ok(value));
            }
            self.child.try_wait().ok().flatten().map(Err)
        });
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(status)) => bail!("{} ended with {status}:\n{}", self.name, self.tail()),
            Err(error) => Err(error.context(self.tail())),
        }
    }

    /// Halts the process until `Signal::CONT`, and waits until all its threads have stopped.
    ///
    /// # Errors
    /// If it runs on.
    pub fn halt(&mut self) -> Result<()> {
        self.signal(Signal::STOP);
        let stopped =
            |task: &Path| fs::read_to_string(task.join("stat")).is_ok_and(|stat| stat.contains(") T "));
        poll_until(&format!("{} to stop", self.name), || {
            let mut tasks = fs::read_dir(format!("/proc/{}/task", self.id())).ok()?;
            tasks.all(|task| task.is_ok_and(|task| stopped(&task.path()))).then_some(())
        })
    }

    /// Sends `signal` and waits for the process to end.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn stop(&mut self, signal: Signal) -> Result<ExitStatus> {
        self.signal(signal);
        let name = format!("{} to end after {signal:?}", self.name);
        poll_until(&name, || self.child.try_wait().ok().flatten())
    }

    /// Kills the process as a crash would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Sends `signal`, for example STOP and later CONT; nothing if the process has ended.
    pub fn signal(&mut self, signal: Signal) {
        let ended = matches!(self.child.try_wait(), Ok(Some(_)));
        if !ended {
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }

    /// Returns the path of the log and its last lines.
    #[must_use]
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(TAIL);
        format!("end of {}:\n{}", self.log.display(), lines.get(from..).unwrap_or_default().join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tail());
        }
        self.kill();
    }
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a process from one thread that lives as long as the program. Linux regards the end of the *thread* that
/// started a process as the death of its parent, and the threads of tests end early.
fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, answer) = mpsc::channel();
    starter.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}
