//! The archive has every file that an operator needs, as it is in the repository, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use pushring_harness::tools::repository;

use crate::{VERSION, built, dist, files, run, shell, unpack};

/// Folders of the repository and their place in the archive.
const FOLDERS: [(&str, &str); 11] = [
    ("envoy", "envoy"),
    ("consul-template", "consul-template"),
    ("monitoring", "monitoring"),
    ("docs", "docs"),
    ("examples/security", "examples/security"),
    ("examples/observability", "examples/observability"),
    ("deploy/systemd", "systemd"),
    ("deploy/kubernetes", "deploy/kubernetes"),
    ("deploy/istio", "deploy/istio"),
    ("deploy/envoy-gateway", "deploy/envoy-gateway"),
    ("deploy/nomad", "deploy/nomad"),
];
/// Parts of these folders that make or test the other files.
const LEFT_OUT: [&str; 5] = [
    "consul-template/fixtures/",
    "monitoring/dashboard/",
    "monitoring/preview/",
    "monitoring/tests/",
    "deploy/kubernetes/render.sh",
];

/// Returns each file of the archive that is a file of the repository.
fn copies() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for path in shell("git ls-files --cached --others --exclude-standard").lines() {
        let is_left_out = LEFT_OUT.iter().any(|folder| path.starts_with(folder));
        let place = FOLDERS.iter().find_map(|(from, to)| {
            path.strip_prefix(from).filter(|rest| rest.starts_with('/')).map(|rest| format!("{to}{rest}"))
        });
        if let Some(place) = place.filter(|_| !is_left_out && repository().join(path).exists()) {
            all.insert(place, path.to_owned());
        }
    }
    for file in ["LICENSE", "CHANGELOG.md", "README.md", "SECURITY.md"] {
        all.insert(file.to_owned(), file.to_owned());
    }
    all
}

#[test]
fn has_what_it_should_and_nothing_else() {
    let copies = copies();
    for folder in ["envoy/", "consul-template/", "monitoring/", "docs/", "examples/security/", "systemd/"] {
        assert!(copies.keys().any(|path| path.starts_with(folder)), "{folder}");
    }
    for (arch, _) in built() {
        let dir = tempfile::tempdir().unwrap();
        let root = unpack(arch, dir.path());
        let (same, made): (Vec<_>, Vec<_>) =
            files(&root).into_iter().partition(|path| copies.contains_key(path));
        assert_eq!(same, copies.keys().cloned().collect::<Vec<_>>());
        for (place, path) in &copies {
            let (ours, theirs) = (fs::read(repository().join(path)), fs::read(root.join(place)));
            assert!(ours.unwrap() == theirs.unwrap(), "{place} differs from {path}");
        }
        let mut expected = ["bin/pushring", "lib/libpushring_native.so", "lib/pushring_filter.wasm"]
            .map(str::to_owned)
            .to_vec();
        expected.extend(
            ["_pushring", "_pushring.ps1", "pushring.bash", "pushring.elv", "pushring.fish"]
                .map(|file| format!("completions/{file}")),
        );
        let pages = fs::read_dir(repository().join("docs/command")).unwrap();
        let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
        let of = |page: String| format!("man/pushring-{}.1", page.trim_end_matches(".md"));
        expected.extend(pages.filter(|page| page != "README.md").map(of));
        expected.push("man/pushring.1".to_owned());
        expected.sort();
        assert_eq!(made, expected);
        let module = fs::read(dist(&format!("pushring_filter-{VERSION}.wasm"))).unwrap();
        assert!(module == fs::read(root.join("lib/pushring_filter.wasm")).unwrap());
        let native = fs::read(dist(&format!("libpushring_native-{VERSION}-{arch}.so"))).unwrap();
        assert!(native == fs::read(root.join("lib/libpushring_native.so")).unwrap());
    }
}

#[test]
fn has_no_trace_of_the_machine() {
    let time = shell("TZ=UTC git log -1 --format=%cd --date=iso-local | cut -c1-19");
    for (arch, _) in built() {
        let list = run(Command::new("tar")
            .args(["--list", "--verbose", "--full-time", "--numeric-owner", "-f"])
            .arg(dist(&format!("pushring-{VERSION}-{arch}-linux-musl.tar.gz")))
            .env("TZ", "UTC"));
        let mut paths = Vec::new();
        for line in list.lines() {
            let [mode, owner, _, day, clock, path] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let expected = match path {
                _ if path.ends_with('/') => "drwxr-xr-x",
                _ if path.ends_with("/bin/pushring") => "-rwxr-xr-x",
                _ => "-rw-r--r--",
            };
            assert_eq!((mode, owner, format!("{day} {clock}")), (expected, "0/0", time.clone()), "{path}");
            paths.push(path.trim_end_matches('/').to_owned());
        }
        assert!(paths.is_sorted_by_key(|path| path.split('/').map(str::to_owned).collect::<Vec<_>>()));
    }
}
