//! metric-index as one process, behind a real Envoy with the patches of examples/observability/: real Prometheus servers that write,
//! and real pushes.

mod copies;
mod fixture;
mod in_line;
mod installed;
mod pushes;
mod writes;
