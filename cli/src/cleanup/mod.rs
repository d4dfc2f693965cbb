//! Decides when a copy of a group may be deleted, and deletes it safely.

pub(crate) mod compare;
pub(crate) mod copy;
pub(crate) mod delete_batch;
pub(crate) mod pair;
pub(crate) mod plan;
pub(crate) mod safety_check;
pub(crate) mod superseded;
