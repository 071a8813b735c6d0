//! Assertions on handshakes, certificates and captures: a policy, and what becomes of it.
//!
//! ```text
//! policy (TOML) ─▶ Policy ─▶ Evaluation ◀─ events
//!                                 │
//!                                 ▼
//!                              Report ─▶ report::{text, json, …}
//! ```
//!
//! No I/O, no clock, and no memory that grows with the traffic: an assertion
//! keeps counters and its first [`MAX_OFFENDERS`] offenders.
//!
//! # What if something cannot be judged?
//!
//! An assertion says of each handshake in its scope one of four things: it
//! holds; it does not, and why; the capture does not tell (certificates of TLS
//! 1.3 without keys, an outcome that is unknown); or the handshake is not
//! concerned (a resumed session shows no certificates). What could not be judged
//! is always counted in the report, with the reason, and the policy says how bad
//! that is ([`Unknown`]): by default a warning. An assertion that judged nothing at all
//! counts as one that could not be judged, and a capture without any handshake fails
//! the check unless the policy says `allow-empty = true`. So does one that has but the
//! beginnings of handshakes, where nothing that the policy asks about could be judged.

mod baseline;
mod context;
mod evaluation;
mod judge;
mod names;
mod parse;
mod policy;
mod presets;
mod report;
mod result;
mod scope;
mod tally;
mod wish;

pub use baseline::{Baseline, BaselineError, MAX_BASELINE};
pub use context::{Context, InputWarnings};
pub use evaluation::Evaluation;
pub use names::{Codes, Patterns};
pub use parse::PolicyError;
pub use policy::{
    Assertion, Check, LeafField, Limit, List, Phase, Policy, Presence, Severity, Subject, Unknown,
};
pub use presets::{Preset, default_policy_text};
pub use report::{ReportFormat, write_report};
pub use result::{CheckResult, Location, Offender, Report, Verdict};
pub use scope::{Network, Scope};
pub use tally::MAX_OFFENDERS;
