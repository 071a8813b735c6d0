//! The reports of a run, kept.

use std::io;

use tlscope::event::{HandshakeReport, NotTls};
use tlscope::pipeline;
use tlscope::stats::{Health, Progress};
use tlscope::time::Timestamp;

/// Keeps all reports, in order.
#[derive(Default)]
pub(crate) struct Reports(pub(crate) Vec<HandshakeReport>);

impl pipeline::Output for Reports {
    fn report(&mut self, report: Box<HandshakeReport>) -> io::Result<()> {
        self.0.push(*report);
        Ok(())
    }

    fn not_tls(&mut self, _: &NotTls) -> io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _: &Progress) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn tick(&mut self, _: Timestamp, _: &Health) -> io::Result<()> {
        Ok(())
    }
}
