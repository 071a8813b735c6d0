//! Counts instructions under valgrind, and compares them with their budgets; `cargo bench --bench instructions`.
//!
//! For each scenario the program runs itself twice: with one run over the capture, and with two. The
//! difference is the cost of a run without what comes before it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports to the terminal"
)]

mod budget;
mod traffic;

use std::env;
use std::process::{Command, ExitCode};

use budget::Budget;
use traffic::{SCENARIOS, Scenario};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, command, name, runs] = &arguments[..]
        && command == RUN
    {
        run(name, runs.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let mut budget = Budget::read(TOLERANCE);
    for scenario in &SCENARIOS {
        let [once, twice] = [1, 2].map(|runs| instructions(scenario, runs));
        let units = scenario.units(&(scenario.capture)());
        budget.compare(scenario, "instructions", twice - once, units);
    }
    let code = budget.finish();
    if cfg!(target_arch = "x86_64") {
        code
    } else {
        eprintln!("the budgets are for x86-64: not compared");
        ExitCode::SUCCESS
    }
}

/// Hash seeds and the host's string functions differ, and a change elsewhere in the crate changes what the compiler inlines: that
/// has moved `syns` by 5.4 %.
const TOLERANCE: f64 = 0.07;

/// Has the program run a scenario instead of measuring all of them.
const RUN: &str = "run";

fn run(name: &str, runs: u32) {
    let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let scenario = found.unwrap();
    let capture = (scenario.capture)();
    for _ in 0..runs {
        scenario.run(&capture, 1);
    }
}

/// How many instructions valgrind counts in the program with so many runs.
fn instructions(scenario: &Scenario, runs: u32) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no"])
        .arg("--cachegrind-out-file=/dev/null")
        .arg(env::current_exe().unwrap())
        .args([RUN, scenario.name, &runs.to_string()])
        .env_clear() // what is in the environment moves the stack, and with it the speed of copies
        .output()
        .unwrap_or_else(|error| panic!("cannot run valgrind: {error}"));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    // ==1234== I   refs:      1,234,567
    let line = log.lines().find(|line| line.contains("refs:"));
    let (_, count) = line.and_then(|line| line.split_once("refs:")).unwrap();
    count.trim().replace(',', "").parse().unwrap()
}
