//! Finds series whose hashes collide. A gateway keeps one set of 64-bit hashes (xxHash) for all series, and a client can
//! choose a label value whose hash is that of another series; then every push is rejected, as if the series were equal.

use std::collections::BTreeMap;

use twox_hash::XxHash64;

use super::culprits::{Blamed, Detailed, bytes, is_own};
use super::scrape_error::Bytes;
use crate::gateway::api::{Labels, PUSH_FAILED, PUSH_TIME};
use crate::reason::Code;

/// Returns the hash of a series.
pub(super) fn hash<'l>(family: &[u8], labels: impl Iterator<Item = (&'l [u8], &'l [u8])>) -> u64 {
    let mut bytes = [family, &[0xff]].concat();
    for part in labels.flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(part);
        bytes.push(0xff);
    }
    XxHash64::oneshot(0, &bytes)
}

/// Returns the groups that have another series with the hash of this one.
pub(super) fn partners<'g>(family: &str, metric: &Bytes, groups: &'g [Detailed]) -> Vec<&'g Detailed> {
    let wanted = hash(family.as_bytes(), metric.iter().map(|(name, value)| (&name[..], &value[..])));
    let collides = |other: &str, labels: &Labels| {
        let same = || other == family && bytes(labels) == *metric;
        hash(other.as_bytes(), labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
            == wanted
            && !same()
    };
    let has = |group: &&Detailed| {
        let mut own = group.labels.clone();
        own.entry("instance".to_owned()).or_default();
        [PUSH_TIME, PUSH_FAILED].iter().any(|name| collides(name, &own))
            || group
                .families
                .iter()
                .filter(|(name, _)| !is_own(name))
                .any(|(name, family)| family.metrics.iter().any(|series| collides(name, &series.labels)))
    };
    groups.iter().filter(has).collect()
}

/// Returns the groups of colliding series but the one that was pushed last; a stub is never kept.
pub(super) fn blame(family: &str, named: Vec<(&Detailed, Bytes)>, partners: Vec<&Detailed>) -> Vec<Blamed> {
    let mut all = named;
    all.extend(partners.into_iter().map(|group| (group, bytes(&group.labels))));
    let unique: BTreeMap<Bytes, &Detailed> = all.into_iter().map(|(group, labels)| (labels, group)).collect();
    let mut all: Vec<(Bytes, &Detailed)> = unique.into_iter().collect();
    all.sort_by_key(|(_, group)| group.last_push());
    let kept = if all.len() > 1 { all.pop() } else { None };
    let with =
        kept.map_or_else(String::new, |(_, kept)| format!(" of {}", crate::output::group(&kept.labels)));
    let reason = Code::HashCollision.because(format!("the hash of a series is that of another series{with}"));
    let blamed =
        |labels| Blamed { labels, family: family.to_owned(), reason: reason.clone(), is_exposed: false };
    all.into_iter().map(|(labels, _)| blamed(labels)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector is that of github.com/cespare/xxhash for these bytes.
    #[test]
    fn hashes_as_the_gateway() {
        let labels = [(&b"instance"[..], &b""[..]), (b"job", b"honest")];
        assert_eq!(hash(b"push_time_seconds", labels.into_iter()), 0x6830_3f1e_b58a_ff39);
    }
}
