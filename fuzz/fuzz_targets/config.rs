//! Parses arbitrary bytes as a configuration, and nearly valid configurations generated from them.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

use pushring_model::config;

fuzz_target!(|data: &[u8]| {
    // An error means that the input was too short for a whole case.
    let _ = check(data);
});

/// Uses text that starts like JSON as a configuration, and other bytes as the input of the generator.
fn check(data: &[u8]) -> Result<()> {
    if data.starts_with(b"{") {
        config::parser_is_total(data);
    } else {
        config::parser_is_total(&config::arbitrary(&mut Unstructured::new(data))?);
    }
    Ok(())
}
