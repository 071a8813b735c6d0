//! Policies: assertions on handshakes, certificates and captures, and whether they hold.
//!
//! ```text
//! policy (TOML) ─▶ Policy ─▶ Evaluation ◀─ events
//!                                 │
//!                                 ▼
//!                              Report ─▶ text, JSON, JUnit, SARIF, GitHub
//! ```
//!
//! No I/O, no clock, and no memory that grows with the traffic: an assertion
//! keeps counters and its first [`MAX_OFFENDERS`] offenders. A [`Baseline`] keeps its
//! handshakes, at most [`MAX_BASELINE`].
//!
//! | file | contains |
//! | --- | --- |
//! | `parse`, `policy`, `policy_entry`, `scope`, `presets` | policies, and how they are read |
//! | `assertion` | every key that a rule can have, one file for each family |
//! | `evaluation`, `tally`, `result` | evaluating handshakes, and the result as data |
//! | `explanation` | what an assertion, a preset or a rule checks, in words |
//! | `report` | writing the result, one file for each format |
//! | `baseline` | comparing handshakes with recorded ones |
//! | `known_findings` | violations that do not count, since the user already knows them |
//!
//! # What if something cannot be evaluated?
//!
//! A handshake in an assertion's scope complies, or violates it, or the capture does not
//! show it (certificates of TLS 1.3 without keys, an unknown outcome), or the assertion
//! does not apply (a resumed session has no certificates). Reports always count the
//! handshakes that could not be evaluated, with the reason. If others complied and none
//! violated the assertion, it held in part. If none could be evaluated, the policy decides
//! what that means: a warning by default.
//!
//! # Can a check pass on nothing?
//!
//! No. A rule that matches no handshake fails, unless it says `min-handshakes = 0`. A
//! capture without any handshake fails the check, unless the policy says
//! `allow-empty = true`. So does one on which no assertion could be evaluated at all.

mod assertion;
mod baseline;
mod context;
mod evaluation;
mod explanation;
mod key_table;
mod known_findings;
mod parse;
mod policy;
mod policy_entry;
mod policy_schema;
mod presets;
mod report;
mod result;
mod scope;
mod tally;
mod written_out;

pub use baseline::{Baseline, BaselineError, BaselineRecorder, MAX_BASELINE};
pub use context::{Context, InputWarnings};
pub use evaluation::Evaluation;
pub use explanation::{explainable, explanation, policy_explanation};
pub use key_table::key_table;
pub use known_findings::{KnownFindings, KnownFindingsError, MAX_KNOWN_FINDINGS};
pub use policy::{Policy, RuleSeverity};
pub use policy_entry::{PolicyError, not_toml};
pub use policy_schema::policy_schema;
pub use presets::{Preset, default_policy_text};
pub use report::{ReportFormat, write_report};
pub use result::{CheckResult, Location, NotAsked, NotEvaluated, Offender, Report, Status};
pub use tally::MAX_OFFENDERS;
pub use written_out::written_out;
