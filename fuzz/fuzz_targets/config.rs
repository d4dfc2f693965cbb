//! Any bytes as a configuration, and as the source of nearly valid ones.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

use pushring_model::config;

fuzz_target!(|data: &[u8]| {
    // An error says that the input was too short for a whole case.
    let _ = check(data);
});

/// Text that begins as JSON does is a configuration itself.
fn check(data: &[u8]) -> Result<()> {
    if data.starts_with(b"{") {
        config::parser_is_total(data);
    } else {
        config::parser_is_total(&config::arbitrary(&mut Unstructured::new(data))?);
    }
    Ok(())
}
