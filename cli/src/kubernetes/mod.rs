//! The HTTP API of Kubernetes.
//!
//! Three kinds of requests are needed: a list, a watch and a Lease. The crate `kube` would add a second HTTP client, an
//! asynchronous runtime for the whole command and the types of every resource for them.

pub(crate) mod access;
pub(crate) mod client;
mod kubeconfig;
pub(crate) mod lease;
