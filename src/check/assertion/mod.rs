//! What a policy can require: one file for each family of keys.
//!
//! A key has all its parts in one place: its name, its row in docs/policy.md, how its value
//! is read, what it requires in words, how a handshake is evaluated, and the tests. The
//! parser, the presets, the suggestions for misspelled keys, the evaluation and the
//! table in docs/policy.md all go through [`keys`].
//!
//! # Where do I add a key?
//!
//! In the file of the family that it belongs to: an entry in its `KEYS`, and a type that
//! implements [`Assertion`] unless one there fits already. Then rewrite the table in the
//! documentation; the test that finds it stale says how. A key that fits no family starts a new
//! file, which is declared below and listed in [`FAMILIES`].
//!
//! | family | asks about |
//! | --- | --- |
//! | [`negotiation`] | the version, the server name, the application protocol |
//! | [`code_points`] | cipher suites, groups and signature schemes |
//! | [`leaf_certificate`] | the server's own certificate |
//! | [`certificate_chain`] | every certificate of both sides |
//! | [`client_certificate`] | whether the client presents one |
//! | [`outcome`] | how handshakes end |
//! | [`timing`] | how long they take |
//! | [`handshake_count`] | how many there are |
//! | [`capture_quality`] | whether the captures are whole |

mod capture_quality;
mod certificate_chain;
mod client_certificate;
mod code_points;
mod handshake_count;
mod leaf_certificate;
mod negotiation;
mod outcome;
mod timing;

// Shared by several families.
mod allow_list;
mod code_point_set;
mod error_types;
mod in_view;
mod limit;
mod openssl_names;

use std::fmt::Debug;

use super::context::{Context, InputWarnings};
use super::policy_entry::{PolicyEntry, Result};
use crate::event::{Handshake, NotTls};
use crate::stats::Stats;

/// The keys of each family, in the order of docs/policy.md.
const FAMILIES: &[&[PolicyKey]] = &[
    negotiation::KEYS,
    code_points::KEYS,
    leaf_certificate::KEYS,
    certificate_chain::KEYS,
    client_certificate::KEYS,
    outcome::KEYS,
    timing::KEYS,
    handshake_count::KEYS,
    capture_quality::KEYS,
];

/// Every key that requires something.
pub(super) fn keys() -> impl Iterator<Item = &'static PolicyKey> {
    FAMILIES.iter().copied().flatten()
}

/// A key of a rule that requires something.
#[derive(Debug)]
pub(super) struct PolicyKey {
    /// As written in policies, as in `min-version`; reports use it to identify the assertion.
    pub(super) name: &'static str,
    /// A value that it takes, in TOML. Shown in docs/policy.md, and read by a test.
    pub(super) example: &'static str,
    /// What must hold, in Markdown, for docs/policy.md.
    pub(super) doc: &'static str,
    /// Reads the value.
    pub(super) read: fn(&PolicyEntry<'_>) -> Result<Assertions>,
}

impl PolicyKey {
    /// The key with this name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        keys().find(|key| key.name == name)
    }
}

/// What one key requires: nothing if its value is `false`, several assertions if it is a table or a list.
pub(super) type Assertions = Vec<Box<dyn Assertion>>;

fn one(assertion: impl Assertion + 'static) -> Result<Assertions> {
    Ok(vec![Box::new(assertion)])
}

/// For keys that are switched on with `true`.
fn if_true(entry: &PolicyEntry<'_>, assertion: impl Assertion + 'static) -> Result<Assertions> {
    if entry.boolean()? {
        one(assertion)
    } else {
        Ok(Assertions::new())
    }
}

/// Something that must hold, as read from a policy.
pub(super) trait Assertion: Debug + Send {
    /// What it requires, in one clause.
    fn requirement(&self) -> String;

    /// Whether one handshake in its scope complies.
    ///
    /// Assertions that only count handshakes, or that are about the run, find every handshake to comply.
    fn evaluate(&self, handshake: InScope<'_>) -> Compliance;

    /// Whether a connection in its scope that did not become TLS complies; `None` if it asks about handshakes alone.
    fn evaluate_not_tls(&self, _event: &NotTls) -> Option<Compliance> {
        None
    }

    /// What it asks about.
    fn about(&self) -> About {
        About::Handshakes
    }

    /// How many of `evaluated` handshakes may violate it.
    fn tolerance(&self, _evaluated: u64) -> u64 {
        0
    }

    /// What handshakes that violate it did, as in `2 of 3 handshakes failed`.
    fn violation(&self) -> &'static str {
        "violated it"
    }

    /// Whether it holds, if that depends on more than how many handshakes violate it.
    fn at_end(&self, _run: &RunTotals<'_>) -> Option<RunResult> {
        None
    }

    /// Whether `event` is a failure that it expects.
    fn expects(&self, _event: &Handshake) -> bool {
        false
    }

    /// Whether `event` is a failure that it expects, of a connection that did not become TLS.
    fn expects_not_tls(&self, _event: &NotTls) -> bool {
        false
    }

    /// Whether it leaves out failures that another rule expects.
    fn skips_expected_failures(&self) -> bool {
        false
    }
}

/// What an assertion asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// What handshakes contain.
    Handshakes,
    /// How many handshakes there are, or how much of them was captured. Captures
    /// without a single answer from a server can satisfy such an assertion.
    Coverage,
    /// The run as a whole: a scope makes no difference.
    Run,
}

/// A handshake in the scope of an assertion.
#[derive(Clone, Copy, Debug)]
pub(super) struct InScope<'a> {
    pub(super) event: &'a Handshake,
    pub(super) context: Context,
    /// Its position among the handshakes in scope, from 1.
    pub(super) number: u64,
}

/// Whether a handshake complies with an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compliance {
    /// It does.
    Satisfied,
    /// It does not: one clause on what was seen instead.
    Violated(String),
    /// The capture does not show it: one clause on what is missing.
    Undetermined(&'static str),
    /// The handshake has nothing that the assertion asks about: nothing was negotiated, or a session was resumed
    /// without certificates.
    NotApplicable,
}

/// What is known when the run is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunTotals<'a> {
    /// Handshakes in scope.
    pub(super) in_scope: u64,
    /// Handshakes among them that comply or do not.
    pub(super) evaluated: u64,
    pub(super) stats: &'a Stats,
    pub(super) warnings: &'a InputWarnings,
}

/// Whether an assertion holds for the run as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunResult {
    pub(super) holds: bool,
    /// What was found, in one clause; `None` if the counts of handshakes say it all.
    pub(super) found: Option<String>,
}

/// `1 handshake`, `2 handshakes`.
pub(super) fn handshakes(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} handshake{plural}")
}

#[cfg(test)]
mod testing {
    //! Assertions as the tests of all families write them: as lines of a policy.

    use super::*;
    use crate::check::Policy;
    use crate::check::policy_schema::testing::assert_fits_schema;

    /// Reads the one assertion of `rule`.
    pub(super) fn assertion(rule: &str) -> Box<dyn Assertion> {
        let text = format!("[[rule]]\n{rule}");
        assert_fits_schema(&text);
        let policy = Policy::parse(&text, "test").unwrap();
        let [check] = <[_; 1]>::try_from(policy.checks).unwrap();
        check.assertion
    }

    /// Evaluates `event` where no trust store is known.
    pub(super) fn compliance(rule: &str, event: &Handshake) -> Compliance {
        compliance_in(Context::default(), rule, event)
    }

    /// Evaluates `event` where chains were validated.
    pub(super) fn validated_compliance(rule: &str, event: &Handshake) -> Compliance {
        let context = Context {
            chains_are_validated: true,
        };
        compliance_in(context, rule, event)
    }

    fn compliance_in(context: Context, rule: &str, event: &Handshake) -> Compliance {
        assertion(rule).evaluate(InScope {
            event,
            context,
            number: 1,
        })
    }

    /// Whether `event` violates `rule`, where no trust store is known.
    pub(super) fn is_violated(rule: &str, event: &Handshake) -> bool {
        matches!(compliance(rule, event), Compliance::Violated(_))
    }

    /// Whether `event` does not show whether it complies, where no trust store is known.
    pub(super) fn is_undetermined(rule: &str, event: &Handshake) -> bool {
        matches!(compliance(rule, event), Compliance::Undetermined(_))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::check::Policy;

    #[test]
    fn every_key_reads_its_example_and_says_what_it_requires() {
        for key in keys() {
            let text = format!("[[rule]]\n{} = {}", key.name, key.example);
            let policy = Policy::parse(&text, "test").unwrap();
            let [check] = &policy.checks[..] else {
                panic!("{policy:?}")
            };
            assert_eq!(check.key, key.name);
            assert!(!check.assertion.requirement().is_empty(), "{}", key.name);
        }
    }

    #[test]
    fn no_two_keys_have_the_same_name() {
        let names: BTreeSet<_> = keys().map(|key| key.name).collect();
        assert_eq!(names.len(), keys().count());
    }
}
