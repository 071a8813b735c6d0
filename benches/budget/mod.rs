//! Budgets: what a packet or a handshake may cost, committed in `benches/budgets.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use crate::traffic::Scenario;

/// Costs by scenario, and then by what is counted.
type Costs = BTreeMap<String, BTreeMap<String, f64>>;

/// Compares what was measured with the budgets, and prints both.
///
/// With `TLSCOPE_REWRITE_BUDGETS=1` what was measured becomes the budget.
pub(crate) struct Budget {
    budgets: Costs,
    measured: Costs,
    /// How far above its budget a cost may be, as a share of it.
    tolerance: f64,
    is_exceeded: bool,
}

/// For costs near zero: counts of a whole run, such as its tables, shared by all of its packets.
const SLACK: f64 = 0.01;

const HEADER: &str = "\
# What a packet or a handshake may cost, from a capture file to the output, on one thread. The benches `allocations` and
# `instructions` measure it, and fail 3 % and 7 % above. A reallocation counts as an allocation; instructions are those of a
# release build on x86-64, and a new compiler can change them. TLSCOPE_REWRITE_BUDGETS=1 writes what they measure.

";

impl Budget {
    pub(crate) fn read(tolerance: f64) -> Self {
        let text = fs::read_to_string(path()).unwrap_or_default();
        Self {
            budgets: toml::from_str(&text).unwrap(),
            measured: Costs::new(),
            tolerance,
            is_exceeded: false,
        }
    }

    /// Takes the `total` of a run over so many units.
    pub(crate) fn compare(&mut self, scenario: &Scenario, counted: &str, total: u64, units: u64) {
        let cost = total as f64 / units as f64;
        let budgets = self.budgets.get(scenario.name);
        let budget = budgets.and_then(|costs| costs.get(counted)).copied();
        let is_over = budget.is_none_or(|budget| cost > budget * (1.0 + self.tolerance) + SLACK);
        self.is_exceeded |= is_over;
        let verdict = if is_over { "over budget" } else { "ok" };
        println!(
            "{scenario:18}  {counted:12}  {cost:12.3} per {:9}  budget {:12.3}  {verdict}",
            scenario.unit,
            budget.unwrap_or_default(),
        );
        let measured = self.measured.entry(scenario.name.to_owned()).or_default();
        measured.insert(counted.to_owned(), (cost * 1_000.0).round() / 1_000.0);
    }

    /// Fails if a budget was exceeded, unless the budgets are rewritten.
    pub(crate) fn finish(mut self) -> ExitCode {
        if env::var_os("TLSCOPE_REWRITE_BUDGETS").is_some_and(|set| set == "1") {
            for (scenario, costs) in self.measured {
                self.budgets.entry(scenario).or_default().extend(costs);
            }
            let text = toml::to_string(&self.budgets).unwrap();
            fs::write(path(), HEADER.to_owned() + &text).unwrap();
            return ExitCode::SUCCESS;
        }
        if self.is_exceeded {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "benches", "budgets.toml"]
        .iter()
        .collect()
}
