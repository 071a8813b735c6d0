//! Datagrams of DTLS.

#![no_main]
#![allow(dead_code, reason = "each target uses one function of the harness")]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/support/conversations.rs"]
mod conversations;
#[path = "../../tests/support/harness.rs"]
mod harness;
#[path = "../../tests/support/invariants.rs"]
mod invariants;
#[path = "../../tests/support/pcap.rs"]
mod pcap;

fuzz_target!(|bytes: &[u8]| conversations::datagrams(bytes));
