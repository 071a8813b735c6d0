//! Counts allocations, and compares them with their budgets; `cargo bench --bench allocations`.
//!
//! Counts do not depend on the machine or its load, as times do.

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

mod budget;
mod traffic;

use std::process::ExitCode;

use budget::Budget;
use traffic::SCENARIOS;

/// Hash seeds differ from run to run, and with them when tables grow.
const TOLERANCE: f64 = 0.03;

fn main() -> ExitCode {
    let mut budget = Budget::read(TOLERANCE);
    for scenario in &SCENARIOS {
        let capture = (scenario.capture)();
        scenario.run(&capture, 1); // what is made once for all runs
        let counts = allocation_counter::measure(|| scenario.run(&capture, 1));
        let units = scenario.units(&capture);
        budget.compare(scenario, "allocations", counts.count_total, units);
        budget.compare(scenario, "bytes", counts.bytes_total, units);
    }
    budget.finish()
}
