//! The passes over all groups of a drain: to their owners, and to their replicas.
//!
//! With replicas, a group is deleted on the drained gateway only after its owner and its replica were found to hold it.

use std::collections::BTreeMap;

use super::report::DrainResult;
use super::transfer::{Receiver, Role, Run, Task, move_groups};
use crate::gateway::client::Gateway;
use crate::reason::{Code, Reason};

/// The members of the ring.
pub(super) struct Members<'s> {
    pub(super) gateways: &'s [Gateway],
    /// Start time of each process, or why it cannot be read.
    pub(super) processes: &'s [anyhow::Result<String>],
}

/// A group, and the result of the passes so far.
pub(super) type Moved<'s> = (Task<'s>, DrainResult);

impl Members<'_> {
    /// Moves groups to their owners, one owner after the other.
    pub(super) fn to_owners<'s>(&self, run: &Run<'s>, tasks: Vec<Task<'s>>) -> Vec<Moved<'s>> {
        self.to(run, Role::Owner, tasks.into_iter().map(|task| (task.owner, task)))
    }

    /// Copies the groups that their owners hold to their replicas, and deletes nothing.
    pub(super) fn to_replicas<'s>(&self, run: &Run<'s>, moved: Vec<Moved<'s>>) -> Vec<Moved<'s>> {
        let (mut done, mut tasks) = (Vec::new(), Vec::new());
        let mut before = BTreeMap::new();
        for (mut task, result) in moved {
            match (task.replica, &result) {
                (Some(replica), DrainResult::Carried | DrainResult::Held) => {
                    before.insert(&task.group.labels, result);
                    task.pushes = 0;
                    tasks.push((replica, task));
                }
                _ => done.push((task, result)),
            }
        }
        run.finished.set(done.len());
        for (task, result) in self.to(run, Role::Replica, tasks) {
            let was_held = before.get(&task.group.labels) == Some(&DrainResult::Held);
            let result = if result == DrainResult::Held && !was_held { DrainResult::Carried } else { result };
            done.push((task, result));
        }
        done
    }

    fn to<'s>(
        &self,
        run: &Run<'s>,
        role: Role,
        tasks: impl IntoIterator<Item = (usize, Task<'s>)>,
    ) -> Vec<Moved<'s>> {
        let mut by_member: BTreeMap<usize, Vec<Task<'s>>> = BTreeMap::new();
        for (member, task) in tasks {
            by_member.entry(member).or_default().push(task);
        }
        let mut moved = Vec::new();
        for (member, tasks) in by_member {
            match self.receiver(member, role) {
                Ok(to) => moved.extend(move_groups(run, to, tasks)),
                Err(reason) => {
                    moved.extend(tasks.into_iter().map(|task| (task, DrainResult::Kept(reason.clone()))));
                }
            }
        }
        moved
    }

    /// Returns a member as a receiver; otherwise the reason why nothing may be copied to it.
    fn receiver(&self, member: usize, role: Role) -> Result<Receiver<'_>, Reason> {
        let name = role.name();
        let start_time = match &self.processes[member] {
            Ok(start_time) => start_time,
            Err(error) => {
                let text = format!("its {name} cannot be reached: {error:#}; run again");
                return Err(role.unreadable().because(text));
            }
        };
        let twins = self.processes.iter().flatten().filter(|other| *other == start_time).count();
        if twins > 1 {
            let text = format!(
                "its {name} is the same process as another member; correct the members, then run again"
            );
            return Err(Code::SharedProcess.because(text));
        }
        Ok(Receiver { gateway: &self.gateways[member], role, start_time })
    }
}
