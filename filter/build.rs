//! The stack of the filter's virtual machine: an eighth of a MiB in each worker and not a whole one. The deepest calls,
//! JSON nested as far as the parser goes, need a fraction of it (tests/wasm/configurations.rs).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=131072");
    }
}
