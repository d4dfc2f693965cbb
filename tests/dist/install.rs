//! `make install` and `make uninstall`, with the files of `make dist`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{VERSION, dist, files, here, run, unpack};

/// Runs a target for a folder, with the command and the other files that `make dist` built.
fn make(target: &str, folder: &Path, built: &Path, variables: &[&str]) {
    let value = |name: &str, path: &str| format!("{name}={}", built.join(path).display());
    let module = format!("MODULE={}", dist(&format!("pushring_filter-{VERSION}.wasm")).display());
    let native = value("NATIVE_MODULE", "lib/libpushring_native.so");
    run(Command::new("make")
        .arg(target)
        .arg(format!("DESTDIR={}", folder.display()))
        .args([value("COMMAND", "bin/pushring"), value("REFERENCE", ""), module, native])
        .args(variables));
}

#[test]
fn install_fills_its_folders_and_uninstall_empties_them() {
    let dir = tempfile::tempdir().unwrap();
    let built = unpack(here().0, dir.path());
    for (variables, prefix, settings) in [
        (&[][..], "usr/local", "etc/pushring"),
        (&["PREFIX=/usr"], "usr", "etc/pushring"),
        (&["PREFIX=/home/me/.local"], "home/me/.local", "home/me/.local/etc/pushring"),
        (&["PREFIX=/opt/pushring", "SYSCONFDIR=/etc"], "opt/pushring", "etc/pushring"),
    ] {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(settings)).unwrap();
        let mine = root.path().join(settings).join("settings.yaml");
        fs::write(&mine, "# mine\n").unwrap();
        make("install-files", root.path(), &built, variables);
        let found = files(root.path());
        for path in [
            "bin/pushring",
            "lib/pushring/libpushring_native.so",
            "lib/pushring/pushring_filter.wasm",
            "lib/systemd/system/pushring-sweep.service",
            "share/man/man1/pushring.1",
            "share/pushring/envoy/redirect.yaml",
            "share/zsh/site-functions/_pushring",
        ] {
            assert!(found.contains(&format!("{prefix}/{path}")), "{path} is missing in {found:#?}");
        }
        assert!(found.contains(&format!("{settings}/envoy.yaml")), "{found:#?}");
        let places = [format!("{prefix}/"), format!("{settings}/")];
        assert!(found.iter().all(|path| places.iter().any(|place| path.starts_with(place))), "{found:#?}");
        let links =
            fs::read_to_string(root.path().join(prefix).join("lib/tmpfiles.d/pushring.conf")).unwrap();
        assert!(links.contains(&format!(" /{prefix}/lib/pushring/pushring_filter.wasm\n")), "{links}");
        assert_eq!(fs::read_to_string(&mine).unwrap(), "# mine\n");

        make("uninstall", root.path(), &built, variables);
        let left = files(root.path());
        assert!(left.iter().all(|path| path.starts_with(&format!("{settings}/"))), "{left:?}");
        assert!(left.contains(&format!("{settings}/settings.yaml")), "{left:?}");
    }
}
