//! Any bytes as a configuration, and as the source of nearly valid ones.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

#[path = "../../router/tests/model/mod.rs"]
mod model;

fuzz_target!(|data: &[u8]| {
    // An error says that the input was too short for a whole case.
    let _ = check(data);
});

/// Text that begins as JSON does is a configuration itself.
fn check(data: &[u8]) -> Result<()> {
    if data.starts_with(b"{") {
        model::config::parser_is_total(data);
    } else {
        model::config::parser_is_total(&model::config::arbitrary(&mut Unstructured::new(data))?);
    }
    Ok(())
}
