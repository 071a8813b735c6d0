//! Captures from beginning to end: packets or handshakes a second; `cargo bench --bench pipeline`.
//!
//! `allocations` and `instructions` count on the same captures, which does not depend on the machine.

mod traffic;

use std::fs;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use traffic::{SCENARIOS, Scenario};

fn main() {
    divan::main();
}

#[divan::bench(args = &SCENARIOS)]
fn one_thread(bencher: Bencher<'_, '_>, scenario: &Scenario) {
    bench(bencher, scenario, 1);
}

#[divan::bench(args = &SCENARIOS)]
fn two_threads(bencher: Bencher<'_, '_>, scenario: &Scenario) {
    bench(bencher, scenario, 2);
}

fn bench(bencher: Bencher<'_, '_>, scenario: &Scenario, threads: usize) {
    let capture = (scenario.capture)();
    bencher
        .counter(BytesCount::new(fs::metadata(&capture.path).unwrap().len()))
        .counter(ItemsCount::new(scenario.units(&capture)))
        .bench_local(|| scenario.run(&capture, threads));
}
