//! The wording of help texts and errors: one file per command in `snapshots/`. `make snapshots` accepts a change of wording;
//! review the difference.

#![allow(missing_docs)]

#[test]
fn output_is_that_of_the_snapshots() {
    trycmd::TestCases::new().case("tests/snapshots/*.trycmd");
}
