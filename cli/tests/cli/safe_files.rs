//! Other users of the machine can neither hold up a publication nor redirect what it writes.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::folders::Folders;

const A: &str = "10.0.0.1:9091";
const B: &str = "10.0.0.2:9091";

fn publish(folders: &Folders, umask: &str) -> Output {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("umask {umask}; exec \"$0\" \"$@\""),
        env!("CARGO_BIN_EXE_pushring"),
        "publish",
    ]);
    command
        .arg("--registrations")
        .arg(folders.registrations())
        .arg("--settings")
        .arg(folders.settings_file());
    command.arg("--live").arg(folders.live("")).args(["--delay", "0s", "--timeout", "1ms"]);
    command.output().unwrap()
}

fn assert_good(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Returns standard error of a publication that must fail with this exit code.
fn refused(folders: &Folders, code: i32) -> String {
    let output = publish(folders, "022");
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn envoy_can_read_the_live_files_and_only_the_publisher_the_rest() {
    for umask in ["077", "022", "000"] {
        let folders = Folders::new();
        for members in [&[A, B][..], &[A]] {
            folders.register(members, &[]);
            assert_good(&publish(&folders, umask));
        }
        let modes = ["", "ring.yaml", "clusters.yaml", ".publish", ".publish/lock", ".publish/departed.json"]
            .map(|file| mode(&folders.live(file)));
        assert_eq!(modes, [0o755, 0o644, 0o644, 0o700, 0o600, 0o600], "umask {umask}: {modes:?}");
    }
}

#[test]
fn folders_of_earlier_versions_become_private() {
    let folders = Folders::new();
    folders.register(&[A], &[]);
    fs::create_dir_all(folders.live(".publish")).unwrap();
    fs::write(folders.live(".publish/lock"), "").unwrap();
    set_mode(&folders.live(".publish"), 0o755);
    set_mode(&folders.live(".publish/lock"), 0o644);
    assert_good(&publish(&folders, "022"));
    assert_eq!((mode(&folders.live(".publish")), mode(&folders.live(".publish/lock"))), (0o700, 0o600));
}

#[test]
fn links_are_not_followed() {
    let folders = Folders::new();
    folders.register(&[A], &[]);
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::create_dir(folders.live("")).unwrap();

    symlink(elsewhere.path(), folders.live(".publish")).unwrap();
    let error = refused(&folders, 1);
    assert!(error.contains("found a link or a file, expected a folder"), "{error}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    fs::remove_file(folders.live(".publish")).unwrap();

    fs::create_dir(folders.live(".publish")).unwrap();
    symlink(&victim, folders.live(".publish/lock")).unwrap();
    let error = refused(&folders, 1);
    assert!(error.contains("cannot lock"), "{error}");
    fs::remove_file(folders.live(".publish/lock")).unwrap();

    // A temporary file and a live file are replaced, not written through.
    for file in [".publish/clusters.yaml.new", ".publish/ring.yaml.new", "clusters.yaml.old"] {
        symlink(&victim, folders.live(file)).unwrap();
    }
    assert_good(&publish(&folders, "022"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(fs::symlink_metadata(folders.live("ring.yaml")).unwrap().is_file());
}

#[test]
fn root_refuses_a_folder_in_which_others_write() {
    let is_root = rustix::process::geteuid().is_root();
    for (owner, bits, accepted) in
        [(0, 0o755, true), (0, 0o775, true), (0, 0o777, false), (0, 0o1777, false), (65534, 0o755, false)]
    {
        let folders = Folders::new();
        folders.register(&[A], &[]);
        fs::create_dir(folders.live("")).unwrap();
        if is_root {
            std::os::unix::fs::chown(folders.live(""), Some(owner), None).unwrap();
        }
        set_mode(&folders.live(""), bits);
        if accepted || !is_root {
            assert_good(&publish(&folders, "022"));
        } else {
            let error = refused(&folders, 1);
            assert!(error.contains(&format!("found owner {owner} and mode {bits:04o}")), "{error}");
            assert!(!folders.live(".publish").exists());
        }
    }
}

#[test]
fn a_lock_that_stays_held_is_an_error_with_its_holder() {
    let folders = Folders::new();
    folders.register(&[A], &[]);
    assert_good(&publish(&folders, "022"));
    let mut lock = File::options().write(true).open(folders.live(".publish/lock")).unwrap();
    lock.lock().unwrap();
    write!(lock, "4711 ").unwrap();
    let error = refused(&folders, 1);
    assert!(
        error.contains("another publication (process 4711") && error.contains("has held the lock for"),
        "{error}"
    );
    drop(lock);
    assert_good(&publish(&folders, "022"));
}

#[test]
fn bad_input_makes_no_folder() {
    let folders = Folders::new();
    let error = refused(&folders, 2);
    assert!(error.contains("registrations.json"), "{error}");
    fs::write(folders.registrations(), "{").unwrap();
    refused(&folders, 2);
    folders.register(&[A], &[]);
    folders.settings(&json!({"mode": "odd"}));
    refused(&folders, 2);
    fs::write(folders.settings_file(), "a: [").unwrap();
    refused(&folders, 2);
    assert!(!folders.live("").exists());
}
