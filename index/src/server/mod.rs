//! The HTTP server: the listener with its limits, and the routes of operation.

mod listener;
mod operation;

pub(crate) use listener::{Peer, run};
pub(crate) use operation::{State, routes};
