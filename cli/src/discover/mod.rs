//! Follows the members of a registry: sources send whole snapshots, [`memory`] adds the members that vanished.

pub(crate) mod consul;
pub(crate) mod dns;
pub(crate) mod etcd;
pub(crate) mod file;
pub(crate) mod kubernetes;
pub(crate) mod memory;
pub(crate) mod path_watch;
pub(crate) mod source;
