//! Kills a command at one of its requests.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::server::Request;

/// A command whose requests pass through proxies with [`Victim::hook`].
#[derive(Clone, Debug, Default)]
pub struct Victim(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// `None` while no command runs: a request that arrives then comes from a command that is dead.
    pid: Option<Pid>,
    /// The number of requests that are forwarded before the command is killed.
    left: usize,
}

impl Victim {
    /// Returns a hook for a proxy. It never returns for a request of a dead command, which is thus never forwarded.
    pub fn hook(&self) -> impl Fn(&Request) + Send + Sync + 'static {
        let victim = self.clone();
        move |_| {
            if !victim.may_send() {
                loop {
                    thread::park();
                }
            }
        }
    }

    /// Counts one request, or kills the command if none is left. Returns whether to forward the request.
    fn may_send(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pid) = state.pid else { return false };
        let left = state.left.checked_sub(1);
        match left {
            Some(left) => state.left = left,
            // Another request may have killed it already.
            None => drop(kill_process(pid, Signal::KILL)),
        }
        left.is_some()
    }

    /// Runs a command, and kills it before the request after this number of requests. Returns whether there was such a
    /// request.
    ///
    /// # Errors
    /// The command does not start, or ends with another code than 0.
    pub fn run(&self, mut command: Command, requests: usize) -> Result<bool> {
        let mut child = {
            // Its first request waits until its process id is known.
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            *state = State { pid: Some(Pid::from_child(&child)), left: requests };
            child
        };
        let status = child.wait();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pid = None;
        let code = status?.code();
        ensure!(code.is_none_or(|code| code == 0), "ended with code {code:?}");
        Ok(code.is_none())
    }
}
