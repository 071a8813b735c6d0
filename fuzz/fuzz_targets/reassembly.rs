//! Segments, against an array of bytes.

#![no_main]
#![allow(dead_code, reason = "each target uses one function of the harness")]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/support/harness.rs"]
mod harness;
#[path = "../../tests/support/invariants.rs"]
mod invariants;

fuzz_target!(|bytes: &[u8]| harness::reassembly(bytes));
