//! The push of a copy.

use crate::gateway::api::Labels;
use crate::gateway::client::Gateway;
use crate::gateway::exposition;
use crate::transfer::gateway_state::{GatewayState, ListedGroup};

/// Encodes families of a group as their gateway exposes them. `None` if the exposition lacks a part, or has a type that this
/// version does not know.
pub(crate) fn body<'n>(
    source: &GatewayState,
    group: &ListedGroup,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<Vec<u8>> {
    let families = names.into_iter().map(|name| {
        let family = group.families.get(name)?;
        let metrics = source.values(name, family)?.into_values().cloned().collect();
        exposition::Family::new(name, &family.kind, family.help.as_deref(), metrics)
    });
    Some(exposition::write(&families.collect::<Option<Vec<_>>>()?))
}

/// Deletes the stub that a gateway keeps for a rejected push, unless another push was accepted since.
pub(crate) fn remove_stub(gateway: &Gateway, labels: &Labels, path: &str) -> anyhow::Result<()> {
    let groups = gateway.groups()?;
    if groups.iter().any(|group| group.labels == *labels && group.ambiguity.is_none() && group.is_stub()) {
        gateway.delete(path)?;
    }
    Ok(())
}
