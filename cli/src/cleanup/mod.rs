//! When a copy of a group may be deleted, and how that is made safe.

pub mod delete_batch;
pub mod guard;
pub mod plan;
pub mod superseded;
