//! Sets the stack size of the filter's VM to 128 KiB; the default is 1 MiB in every worker. The deepest calls, for JSON
//! nested to the parser's limit, need a fraction of it (tests/wasm/configurations.rs).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=131072");
    }
}
