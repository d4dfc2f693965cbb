//! The dynamic module of the release.

use std::fs;
use std::process::Command;

use pushring_harness::{Envoy, Layout, Mode, Module, Ports, Pushgateway, envoy_files};

use crate::{built, here, run, unpack};

/// Newest glibc that the module may need, as in `tools/dist.mk`.
const GLIBC: (u32, u32) = (2, 31);

#[test]
fn envoy_loads_it_and_routes_pushes() {
    let dir = tempfile::tempdir().unwrap();
    let root = unpack(here().0, dir.path());
    let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
    let folder = dir.path().join("pushring");
    let layout = Layout::with_module(Module::Native, &folder, Mode::Cluster, Ports::default(), &[]).unwrap();
    fs::copy(root.join("lib/libpushring_native.so"), layout.module()).unwrap();
    layout.write(&envoy_files::config(Mode::Cluster, &[gateway.address.into()]).unwrap()).unwrap();
    let envoy = Envoy::start(&layout, 1).unwrap();
    assert_eq!(envoy.client().unwrap().put("/metrics/job/a", "x 1\n").unwrap().status, 200);
}

#[test]
fn needs_no_newer_glibc_than_envoy() {
    for (arch, _) in built() {
        let dir = tempfile::tempdir().unwrap();
        let module = unpack(arch, dir.path()).join("lib/libpushring_native.so");
        let versions = run(Command::new("readelf").args(["--version-info", "--wide"]).arg(module));
        let version = |text: &str| -> Option<(u32, u32)> {
            let (major, minor) =
                text.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?.split_once('.')?;
            Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
        };
        let needed: Vec<_> = versions.split("GLIBC_").skip(1).filter_map(version).collect();
        assert!(!needed.is_empty() && needed.iter().all(|needed| *needed <= GLIBC), "{arch}: {needed:?}");
    }
}
