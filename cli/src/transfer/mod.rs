//! Copies groups from one gateway to another, byte for byte.

pub(crate) mod conflict;
pub(crate) mod gateway_state;
pub(crate) mod push;
