//! Tests of the command that need no server; one program, because each is linked by itself.

#![allow(missing_docs)]
// Helpers outside of test functions fail by panicking, too.
#![allow(clippy::unwrap_used)]

mod folders;
mod lookups;
mod members;
mod publish;
mod publish_killed;
mod register;
