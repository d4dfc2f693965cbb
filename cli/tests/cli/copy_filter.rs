//! `pushring copy-filter`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn run(program: &Path, args: &[&Path]) -> Output {
    Command::new(program).arg("copy-filter").args(args).output().unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, message: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.contains(message), "{error}");
}

#[test]
fn copies_the_module_of_the_installation() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for folder in ["bin", "lib/pushring", "volume"] {
        fs::create_dir_all(path(folder)).unwrap();
    }
    let program = path("bin/pushring");
    fs::copy(env!("CARGO_BIN_EXE_pushring"), &program).unwrap();
    let (module, target) = (path("lib/pushring/pushring_filter.wasm"), path("volume/plugin.wasm"));
    assert_refused(&run(&program, &[&target]), 2, "pushring_filter.wasm");

    let bytes = b"\0asm\x01\0\0\0\xff";
    fs::write(&module, bytes).unwrap();
    fs::write(&target, "an older one").unwrap();
    fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(run(&program, &[&target]).status.code(), Some(0));
    assert_eq!(fs::read(&target).unwrap(), bytes);
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(path("volume")).unwrap().count(), 1);

    assert_refused(&run(&program, &[&path("missing/plugin.wasm")]), 1, "missing/plugin.wasm");
    assert_refused(&run(&program, &[Path::new("/")]), 1, "names no file");
    fs::write(&module, "<html>").unwrap();
    assert_refused(&run(&program, &[&target]), 2, "found no Wasm module");
    assert_refused(&run(&program, &["--from".as_ref(), &path("none.wasm"), &target]), 2, "none.wasm");
    assert_eq!(fs::read(&target).unwrap(), bytes);
}
