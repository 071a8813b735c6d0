//! No packet filters: the build lacks libpcap.

use std::convert::Infallible;

use crate::capture::{CaptureError, PacketBatch, Problem};

/// Cannot be made.
pub(super) struct PacketFilter(Infallible);

impl PacketFilter {
    pub(super) fn compile(expression: &str) -> Result<Self, CaptureError> {
        let expression = expression.to_owned();
        Err(CaptureError::NoFilters { expression })
    }

    pub(super) fn apply(&mut self, _batch: &mut PacketBatch) -> u64 {
        match self.0 {}
    }

    pub(super) fn take_problems(&mut self) -> Vec<Problem> {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_that_the_build_has_no_filters() {
        let error = PacketFilter::compile("tcp").err().unwrap();
        assert!(
            error
                .to_string()
                .contains("this build has no packet filters")
        );
    }
}
