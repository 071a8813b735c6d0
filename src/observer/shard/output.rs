//! Where the results of shards go.

use std::collections::HashMap;
use std::sync::Arc;

use crate::handshake::ReportCaches;
use crate::time::Timestamp;

use super::super::Config;
use super::super::conclusion::{Concluded, Unreported};
use super::super::flow::{Open, Spares};
use super::super::losses::Losses;
use super::super::worker::{Made, Numbered};

/// Where a shard's results go, and the caches of its worker.
pub(in crate::observer) struct ShardOutput<'o> {
    pub(in crate::observer) config: &'o Config,
    pub(in crate::observer) caches: &'o mut ReportCaches,
    pub(in crate::observer) spares: &'o mut Spares,
    /// When sources ended, of which several are read as one.
    pub(in crate::observer) ends: &'o HashMap<Arc<str>, Timestamp>,
    /// When packets were dropped.
    pub(in crate::observer) losses: &'o Losses,
    pub(in crate::observer) unreported: &'o mut Unreported,
    pub(in crate::observer) made: &'o mut Vec<Numbered>,
    /// The number of the step at hand.
    pub(in crate::observer) step: u32,
}

impl ShardOutput<'_> {
    /// Adds what the step at hand has made.
    pub(in crate::observer) fn add(&mut self, made: Made) {
        self.made.push((self.step, made));
    }

    /// Takes a handshake over TCP that is over; it is reported with some others.
    pub(super) fn conclude(&mut self, open: Box<Open>, concluded: Concluded) {
        if self.unreported.add(self.step, open, concluded) {
            self.report();
        }
    }

    /// Reports the handshakes that are over.
    pub(in crate::observer) fn report(&mut self) {
        self.unreported
            .report(self.config, self.caches, self.spares, self.made);
    }
}
