//! `pushring discover` with the real registries.

mod etcd;
mod etcd_faults;
mod etcd_secure;
mod kubernetes;
mod running;
