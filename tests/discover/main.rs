//! `pushring discover` with the real registries.

mod agent;
mod etcd;
mod etcd_faults;
mod etcd_secure;
mod kubernetes;
mod running;
