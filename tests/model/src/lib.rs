//! Naive models of the ring and the router, generators of random inputs, and the properties that must hold for
//! every input. Property tests, fuzz targets and the tests of the compiled filter share them.
#![allow(clippy::expect_used, clippy::panic)] // a panic is how a property fails

pub mod config;
pub mod ring;
pub mod router;
pub mod spelling;
