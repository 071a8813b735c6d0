//! The reports of a run, kept.

use std::io;

use tlscope::event::{HandshakeReport, NotTls};
use tlscope::pipeline::{self, Lines};
use tlscope::sink::{Needs, Renderer};
use tlscope::stats::{Health, Progress};
use tlscope::time::Timestamp;

/// Keeps all reports, in order.
#[derive(Default)]
pub(crate) struct Reports(pub(crate) Vec<HandshakeReport>);

impl pipeline::Output for Reports {
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    fn renderers(&self, _: usize) -> Vec<Box<dyn Renderer>> {
        Vec::new()
    }

    fn report(
        &mut self,
        report: Box<HandshakeReport>,
        _: Lines,
    ) -> io::Result<Option<Box<HandshakeReport>>> {
        self.0.push(*report);
        Ok(None)
    }

    fn not_tls(&mut self, _: &NotTls, _: Lines) -> io::Result<bool> {
        Ok(false)
    }

    fn rendered(&mut self, _: &[u8], _: u64) -> io::Result<()> {
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
