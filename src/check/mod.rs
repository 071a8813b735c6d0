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
//! | `report` | writing the result, one file for each format |
//! | `baseline` | comparing handshakes with recorded ones |
//!
//! # What if something cannot be evaluated?
//!
//! A handshake in an assertion's scope complies, or violates it, or the capture does not
//! show it (certificates of TLS 1.3 without keys, an unknown outcome), or the assertion
//! does not apply (a resumed session has no certificates). Reports always count the
//! handshakes that could not be evaluated, with the reason, and the policy decides what
//! that means: a warning by default.
//!
//! An assertion that evaluated no handshake at all counts as one that could not be
//! evaluated. A capture without any handshake fails the check unless the policy says
//! `allow-empty = true`. So does a capture that has only the beginnings of handshakes, if
//! it shows nothing that the policy asks about.

mod assertion;
mod baseline;
mod context;
mod evaluation;
mod key_table;
mod parse;
mod policy;
mod policy_entry;
mod policy_schema;
mod presets;
mod report;
mod result;
mod scope;
mod tally;

pub use baseline::{Baseline, BaselineError, MAX_BASELINE};
pub use context::{Context, InputWarnings};
pub use evaluation::Evaluation;
pub use key_table::key_table;
pub use policy::{Policy, RuleSeverity};
pub use policy_entry::PolicyError;
pub use policy_schema::policy_schema;
pub use presets::{Preset, default_policy_text};
pub use report::{ReportFormat, write_report};
pub use result::{CheckResult, Location, Offender, Report, Status};
pub use tally::MAX_OFFENDERS;
