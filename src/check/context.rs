//! What a check has to know of the run beside its events.

use super::MAX_OFFENDERS;

/// What the run that is judged was capable of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Whether chains were validated against a trust store: without, who issued them is not judged.
    pub chains_are_validated: bool,
}

/// What was wrong with the captures, and did not keep them from being read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputWarnings {
    /// How many warnings there were.
    pub count: u64,
    /// The first of them, at most [`MAX_OFFENDERS`].
    pub first: Vec<String>,
}

impl InputWarnings {
    /// Counts one more.
    pub fn add(&mut self, warning: &str) {
        self.count += 1;
        if self.first.len() < MAX_OFFENDERS {
            self.first.push(warning.to_owned());
        }
    }
}
