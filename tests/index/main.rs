//! metric-index as one process: behind a real Envoy with mirrors, with a real Prometheus and real pushes, and with bodies
//! that nobody should send.

mod body;
mod ending;
mod hostile;
mod ingress;
mod server;
