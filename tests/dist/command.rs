//! The static command and the module.

use std::fs;
use std::io::Read;
use std::process::Command;

use flate2::Compression;
use flate2::read::GzEncoder;
use pushring_harness::tools;

use crate::{VERSION, built, dist, here, run, shell, unpack};

#[test]
fn runs_in_an_empty_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = unpack(here().0, dir.path()).join("bin");
    fs::write(root.join("settings.json"), r#"{"members": ["10.0.0.1:9091"]}"#).unwrap();
    let inside = |args: &[&str]| {
        run(Command::new("unshare").args(["--user", "--map-root-user", "chroot"]).arg(&root).args(args))
    };
    let commit = shell("git describe --always --dirty --exclude='*' --abbrev=12");
    assert_eq!(inside(&["/pushring", "--version"]), format!("pushring {VERSION} ({commit})\n"));
    assert!(inside(&["/pushring", "check", "/settings.json"]).contains("good: 1 member, "));
}

#[test]
fn needs_no_interpreter_and_is_small() {
    for (arch, _) in built() {
        let machine = if arch == "x86_64" { 62 } else { 183 };
        let dir = tempfile::tempdir().unwrap();
        let file = fs::read(unpack(arch, dir.path()).join("bin/pushring")).unwrap();
        let number = |offset: usize, size: usize| {
            file[offset..offset + size].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        };
        assert_eq!((&file[..4], number(18, 2)), (&b"\x7fELF"[..], machine), "{arch}");
        let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        let kinds: Vec<_> = (0..count).map(|index| number(start + index * size, 4)).collect();
        assert!(kinds.contains(&1) && !kinds.contains(&3), "{arch}: PT_INTERP in {kinds:?}");
        let mut compressed = Vec::new();
        GzEncoder::new(&file[..], Compression::best()).read_to_end(&mut compressed).unwrap();
        assert!(compressed.len() <= 8 << 20, "{arch}: {} bytes compressed", compressed.len());
    }
}

#[test]
fn names_no_path_of_the_machine() {
    let repository = tools::repository().canonicalize().unwrap();
    let home = std::env::var("HOME").unwrap();
    let module = fs::read(dist(&format!("pushring_filter-{VERSION}.wasm"))).unwrap();
    let commit = shell("git describe --always --dirty --exclude='*' --abbrev=12");
    assert!(contains(&module, &commit), "the module does not name {commit}");
    let mut all = vec![("the Wasm filter", module)];
    for (arch, _) in built() {
        let dir = tempfile::tempdir().unwrap();
        let root = unpack(arch, dir.path());
        for file in ["bin/pushring", "lib/libpushring_native.so"] {
            all.push((file, fs::read(root.join(file)).unwrap()));
        }
    }
    for (name, file) in all {
        // The messages of panics name files, so the search finds something.
        assert!(contains(&file, "/registry/"), "{name}");
        for path in [repository.to_str().unwrap(), &format!("{home}/"), ".cargo/registry", ".rustup/"] {
            assert!(!contains(&file, path), "{name} contains {path}");
        }
    }
}

fn contains(file: &[u8], text: &str) -> bool {
    file.windows(text.len()).any(|window| window == text.as_bytes())
}
