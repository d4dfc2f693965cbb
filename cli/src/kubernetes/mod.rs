//! The HTTP API of Kubernetes.
//!
//! Few kinds of requests are needed: a list, a watch, a Lease, and fields of one object. The crate `kube` would add a second HTTP client, an
//! asynchronous runtime for the whole command and the types of every resource for them.

pub(crate) mod access;
pub(crate) mod client;
mod kubeconfig;
pub(crate) mod lease;
pub(crate) mod object;
