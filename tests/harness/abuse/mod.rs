//! Sends everything hostile that a client can send, in random order, to the shipped Envoy in front of real Pushgateways
//! while honest clients push all the time.
//!
//! The gateways have little memory and no persistence file; a supervisor starts one again when it ends. An *outage* of a
//! gateway lasts from the last moment at which it was seen running until it is up again. The run counts as violations:
//!
//! * lost: a push that was answered 2xx and is not stored on the gateway that answered, although that gateway has not ended
//!   since;
//! * refused: a push without 2xx for any reason but these two: an outage (in cluster mode of its owner, in endpoint mode of all
//!   gateways), or Envoy shedding load;
//! * misplaced: a push answered by another gateway than its owner, or a group stored there, without an outage of the owner;
//!   in cluster mode always;
//! * more gateways ended than pushes were sent that can end one;
//! * Envoy ended.

mod floods;
mod gateways;
mod inputs;
mod ledger;
mod poison;
mod run;
mod summary;

pub use run::run;
pub use summary::{Settings, Summary};
