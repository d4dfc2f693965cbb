//! Tests of the command without servers, in one program, because linking takes longer than the tests.

#![allow(missing_docs)]
// Helpers outside of test functions fail by panicking, too.
#![allow(clippy::unwrap_used)]
// cli/clippy.toml is for files of others.
#![allow(clippy::disallowed_methods)]

mod access;
mod bad_values;
mod copy_filter;
mod digests;
mod folders;
mod help;
mod hostile_files;
mod lookups;
mod members;
mod messages;
mod no_certificates;
mod publish;
mod publish_killed;
mod register;
mod safe_files;
