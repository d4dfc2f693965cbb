//! A registry in which the agent keeps its gateway.

use super::check::State;

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// Everything was as it should be.
    Renewed,
    /// The gateway was not registered, or otherwise.
    Registered,
    /// The gateway was removed, because its check fails.
    Removed,
    /// The gateway is not registered, and need not be.
    Absent,
}

/// A registry. Each call may be repeated after an error.
pub(super) trait Store {
    /// Makes the registration agree with the check, and renews it. Until the state is known, nothing changes: the
    /// registration of an agent that was restarted stays.
    ///
    /// # Errors
    /// The registry cannot be reached, or refuses the change.
    fn keep(&mut self, state: &State) -> anyhow::Result<Done>;

    /// Announces that the gateway leaves.
    ///
    /// # Errors
    /// As [`Store::keep`].
    fn announce(&mut self) -> anyhow::Result<()>;

    /// Removes the gateway.
    ///
    /// # Errors
    /// As [`Store::keep`].
    fn remove(&mut self) -> anyhow::Result<()>;
}
