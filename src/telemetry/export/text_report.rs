//! `--metrics stdout`: the metrics as text, once the run has ended.

use std::io::{self, Write};

use opentelemetry_sdk::metrics::Temporality;

use super::{Closing, Export, PreparedExport, prometheus_text};
use crate::telemetry::metrics::reader::MetricsReader;

/// Writes the metrics in the Prometheus exposition format.
pub(crate) struct TextReport {
    reader: MetricsReader,
    output: Box<dyn Write + Send>,
}

impl TextReport {
    pub(crate) fn new(output: Box<dyn Write + Send>) -> Self {
        Self {
            reader: MetricsReader::new(Temporality::Cumulative, 1),
            output,
        }
    }
}

impl PreparedExport for TextReport {
    fn reader(&self) -> Option<&MetricsReader> {
        Some(&self.reader)
    }

    fn start(self: Box<Self>) -> io::Result<Box<dyn Export>> {
        Ok(self)
    }
}

impl Export for TextReport {
    /// Deferred: the text also says which of the other exports failed.
    fn close(mut self: Box<Self>) -> Closing {
        Closing::Deferred(Box::new(move || {
            let text = prometheus_text::encode(&self.reader.read().metrics);
            self.output.write_all(text.as_bytes())?;
            Ok(self.output.flush()?)
        }))
    }
}
