//! What stands for packet filters in a build without libpcap: every expression is refused.

use std::convert::Infallible;

use crate::capture::{CaptureError, PacketBatch, Problem};

/// A filter that cannot exist.
pub(super) struct CompiledFilter(Infallible);

impl CompiledFilter {
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
    fn a_build_without_filters_says_so() {
        let error = CompiledFilter::compile("tcp").err().unwrap();
        assert!(
            error
                .to_string()
                .contains("this build has no packet filters")
        );
    }
}
