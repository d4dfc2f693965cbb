//! Removes Pushgateways from etcd.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use serde_json::Value;

use super::FAREWELL;
use super::services::{RegistrationChange, RegistrationResult};
use crate::etcd::client::Etcd;
use crate::etcd::{prefix, value};
use crate::fleet::address::GatewayAddress;
use crate::parse;

/// Deletes all keys with the address of a target, after their values have said for a while that it leaves. With `dry_run`,
/// changes nothing. Results are appended to `done` one by one.
///
/// # Errors
/// etcd cannot be reached, or refuses a change; the targets after the last one in `done` may still be registered.
pub(super) fn deregister(
    etcd: &mut Etcd,
    service: &str,
    targets: &BTreeSet<GatewayAddress>,
    dry_run: bool,
    done: &mut Vec<RegistrationResult>,
) -> anyhow::Result<()> {
    let keys = keys(etcd, service, targets)?;
    if !dry_run && !keys.is_empty() {
        for (key, value) in keys.values().flatten() {
            let mut value = value.clone();
            value["leaving"] = true.into();
            let put = etcd.anywhere(|etcd| etcd.put(key, value.to_string().as_bytes(), None));
            // Its lease ended a moment ago.
            put.or_else(
                |error| if error.to_string().contains("key not found") { Ok(()) } else { Err(error) },
            )?;
        }
        thread::sleep(FAREWELL);
    }
    for target in targets {
        let keys = keys.get(target).map(Vec::as_slice).unwrap_or_default();
        if !dry_run {
            keys.iter().try_for_each(|(key, _)| etcd.anywhere(|etcd| etcd.delete(key)))?;
        }
        let change =
            if keys.is_empty() { RegistrationChange::Absent } else { RegistrationChange::Deregistered };
        done.push(RegistrationResult::new(target, change));
    }
    Ok(())
}

type Keys = BTreeMap<GatewayAddress, Vec<(Vec<u8>, Value)>>;

/// Returns the keys of each target with their values.
fn keys(etcd: &mut Etcd, service: &str, targets: &BTreeSet<GatewayAddress>) -> anyhow::Result<Keys> {
    let prefix = prefix(service)?;
    etcd.anywhere(|etcd| {
        let mut all = Keys::new();
        etcd.list(&prefix, None, |found| {
            let registration = value::registration(b"", &found.value, 0).ok();
            let address = registration.and_then(|found| GatewayAddress::new(&found.address, found.port).ok());
            let value = str::from_utf8(&found.value).ok().and_then(|text| parse::json(text).ok());
            if let (Some(address), Some(value)) = (address.filter(|one| targets.contains(one)), value) {
                all.entry(address).or_default().push((found.key, value));
            }
        })?;
        Ok(all)
    })
}
