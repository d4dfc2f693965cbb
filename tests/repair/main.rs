//! `pushring sweep --repair` between real Pushgateways: an owner or a replica that lost groups gets them back, and nothing
//! that a client deletes or pushes in the meantime is undone.

mod bytes;
mod families;
mod fixture;
mod killed;
mod races;
mod refused;
mod watch;
