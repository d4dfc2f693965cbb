//! Decides on requests with arbitrary paths, and checks the properties of generated requests and groups.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

use pushring_model::router as model;

fuzz_target!(|data: &[u8]| {
    // An error means that the input was too short for a whole case.
    let _ = check(data);
});

/// The last byte selects the property; the other bytes are its input.
fn check(data: &[u8]) -> Result<()> {
    let Some((&property, data)) = data.split_last() else { return Ok(()) };
    let u = &mut Unstructured::new(data);
    match property % 4 {
        0 => model::decide_path_is_total(data),
        1 => model::decide_is_total(u)?,
        2 => model::spellings_agree(u)?,
        _ => model::labels_round_trip(u)?,
    }
    Ok(())
}
