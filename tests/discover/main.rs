//! `pushring discover` with the real registries.

mod agent;
mod budget;
mod consul;
mod consul_faults;
mod dns;
mod dns_faults;
mod dns_server;
mod etcd;
mod etcd_faults;
mod etcd_secure;
mod file;
mod file_sd;
mod fixtures;
mod hostile;
mod kubernetes;
mod mass_expiry;
mod outage;
mod restart;
mod running;
mod scene;
