//! Compares the ring with the naive ring on arbitrary members and keys.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

use pushring_model::ring as model;

fuzz_target!(|data: &[u8]| {
    // An error means that the input was too short for a whole case.
    let _ = check(data);
});

/// The last byte selects the property; the other bytes are its input.
fn check(data: &[u8]) -> Result<()> {
    let Some((&property, data)) = data.split_last() else { return Ok(()) };
    let u = &mut Unstructured::new(data);
    match property % 4 {
        0 => model::equals_naive(u),
        1 => model::order_does_not_matter(u),
        2 => model::only_its_keys_move(u),
        _ => model::shares_follow_weights(u),
    }
}
