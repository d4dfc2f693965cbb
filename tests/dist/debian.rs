//! The Debian package: its fields, its files, and its life in a root folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{VERSION, built, dist, files, here, run};

fn package(arch: &str) -> PathBuf {
    dist(&format!("pushring_{VERSION}_{arch}.deb"))
}

#[test]
fn has_the_fields_of_a_package() {
    for (_, arch) in built() {
        let field = |name: &str| run(Command::new("dpkg-deb").arg("--field").arg(package(arch)).arg(name));
        assert_eq!((field("Package").trim(), field("Version").trim()), ("pushring", VERSION));
        assert_eq!(field("Architecture").trim(), arch);
        // The command is static, and Envoy comes from elsewhere. Without CAs, it trusts only the certificates given by flags.
        assert_eq!(field("Depends").trim(), "");
        assert_eq!(field("Recommends").trim(), "ca-certificates, curl");
        assert!(field("Description").lines().count() > 1 && field("Maintainer").contains('@'));
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("dpkg-deb").arg("--extract").arg(package(arch)).arg(dir.path()));
        let size: u64 = files(dir.path())
            .iter()
            .map(|f| dir.path().join(f).metadata().unwrap().len().div_ceil(1024))
            .sum();
        assert_eq!(field("Installed-Size").trim(), size.to_string());
    }
}

#[test]
fn has_each_file_in_its_place() {
    for (_, arch) in built() {
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("dpkg-deb").arg("--raw-extract").arg(package(arch)).arg(dir.path()));
        let control = |name: &str| fs::read_to_string(dir.path().join("DEBIAN").join(name)).unwrap();
        let found: Vec<_> =
            files(dir.path()).into_iter().filter(|path| !path.starts_with("DEBIAN/")).collect();
        for path in [
            "usr/bin/pushring",
            "usr/lib/pushring/libpushring_native.so",
            "usr/lib/pushring/pushring_filter.wasm",
            "usr/lib/systemd/system/pushring-discover.service",
            "usr/lib/systemd/system/pushring-envoy.service",
            "usr/lib/sysusers.d/pushring.conf",
            "usr/lib/tmpfiles.d/pushring.conf",
            "usr/share/bash-completion/completions/pushring",
            "usr/share/doc/pushring/copyright",
            "usr/share/man/man1/pushring-sweep.1.gz",
            "usr/share/pushring/consul-template/pushring.hcl",
            "usr/share/pushring/envoy/endpoint.yaml",
            "usr/share/pushring/monitoring/rules.yml",
            "etc/pushring/envoy.yaml",
            "etc/pushring/settings.yaml",
        ] {
            assert!(found.iter().any(|other| other == path), "{path} is missing");
        }
        let (settings, rest): (Vec<_>, Vec<_>) =
            found.iter().cloned().partition(|path| path.starts_with("etc/pushring/"));
        assert!(rest.iter().all(|path| path.starts_with("usr/")), "{rest:?}");
        let settings: Vec<_> = settings.iter().map(|path| format!("/{path}")).collect();
        assert_eq!(control("conffiles").lines().collect::<Vec<_>>(), settings);
        let sums = dir.path().join("DEBIAN/md5sums");
        run(Command::new("sh")
            .args(["-c", "cd \"$0\" && md5sum --check --strict --quiet \"$1\""])
            .arg(dir.path())
            .arg(sums));
        assert_eq!(control("md5sums").lines().count(), rest.len());
    }
}

/// A root folder for dpkg, in which this user is root.
struct Root<'a>(&'a Path);

impl Root<'_> {
    fn dpkg(&self, args: &[&str]) -> String {
        let mut dpkg = Command::new("unshare");
        dpkg.args(["--user", "--map-root-user", "dpkg", "--force-script-chrootless", "--log=/dev/null"]);
        run(dpkg.arg("--root").arg(self.0).args(args))
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

#[test]
fn installs_upgrades_and_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for file in ["status", "available"] {
        fs::write(dir.path().join("var/lib/dpkg").join(file), "").unwrap();
    }
    let root = Root(dir.path());
    let package = package(here().1);
    let package = package.to_str().unwrap();
    root.dpkg(&["--install", package]);
    assert!(root.dpkg(&["--status", "pushring"]).contains("Status: install ok installed"));
    let version = run(Command::new(dir.path().join("usr/bin/pushring")).arg("--version"));
    assert!(version.starts_with(&format!("pushring {VERSION} (")), "{version}");
    // Its scripts make the users, and the links to the folder of the ring and to the module.
    for user in ["pushring:", "pushring-envoy:"] {
        assert!(root.read("etc/passwd").lines().any(|line| line.starts_with(user)), "{user}");
    }
    for (link, target) in [
        ("etc/pushring/live", "/var/lib/pushring/live"),
        ("etc/pushring/pushring_filter.wasm", "/usr/lib/pushring/pushring_filter.wasm"),
        ("etc/pushring/libpushring_native.so", "/usr/lib/pushring/libpushring_native.so"),
    ] {
        assert_eq!(fs::read_link(dir.path().join(link)).unwrap(), Path::new(target));
    }
    // The settings of an operator survive an upgrade and a removal.
    let mine = "# mine\n";
    fs::write(dir.path().join("etc/pushring/settings.yaml"), mine).unwrap();
    root.dpkg(&["--install", package]);
    assert_eq!(root.read("etc/pushring/settings.yaml"), mine);
    root.dpkg(&["--remove", "pushring"]);
    assert!(!dir.path().join("usr/bin/pushring").exists());
    assert_eq!(root.read("etc/pushring/settings.yaml"), mine);
    fs::create_dir_all(dir.path().join("var/lib/pushring/live")).unwrap();
    root.dpkg(&["--purge", "pushring"]);
    let left: Vec<_> = files(dir.path()).into_iter().filter(|path| path.contains("pushring")).collect();
    assert!(left.is_empty() && !dir.path().join("var/lib/pushring").exists(), "{left:?}");
}
