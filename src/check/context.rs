//! What an evaluation needs to know about the run besides its events.

use super::MAX_OFFENDERS;

/// What the run did for each handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Whether chains were validated against a trust store. If not, assertions about trust cannot be evaluated.
    pub chains_are_validated: bool,
}

/// Problems with the captures that did not stop the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputWarnings {
    /// How many warnings there were.
    pub count: u64,
    /// The first ones, at most [`MAX_OFFENDERS`].
    pub first: Vec<String>,
}

impl InputWarnings {
    /// Adds one warning.
    pub fn add(&mut self, warning: &str) {
        self.count += 1;
        if self.first.len() < MAX_OFFENDERS {
            self.first.push(warning.to_owned());
        }
    }
}
