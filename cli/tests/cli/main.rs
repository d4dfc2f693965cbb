//! Tests of the command without servers, in one program, because linking takes longer than the tests.

#![allow(missing_docs)]
// Helpers outside of test functions fail by panicking, too.
#![allow(clippy::unwrap_used)]

mod access;
mod folders;
mod help;
mod lookups;
mod members;
mod publish;
mod publish_killed;
mod register;
mod safe_files;
