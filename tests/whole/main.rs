//! One address for everything, as one Pushgateway: pushes, `/metrics`, the API and the page, through the shipped Envoy files.

mod absent;
mod fleet;
mod one_address;
