//! Stands in for the metrics in a build without the feature `otel`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{ConfigError, ExportError, MetricsConfig, Notice};
use crate::event::Handshake;
use crate::sink::Sink;
use crate::stats::Stats;

/// The metrics of a run; this build cannot make any.
#[derive(Debug)]
pub enum Metrics {}

impl Metrics {
    /// `None`, unless flags ask for metrics; the environment is not looked at.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NotBuilt`] if flags ask for metrics.
    pub fn new(
        config: &MetricsConfig,
        _environment: &dyn Fn(&str) -> Option<String>,
        _output: Box<dyn Write + Send>,
        _notice: Notice,
    ) -> Result<Option<Self>, ConfigError> {
        if config.asks_for_nothing() {
            Ok(None)
        } else {
            Err(ConfigError::NotBuilt)
        }
    }

    /// Starts to export.
    ///
    /// # Errors
    ///
    /// None: there is nothing to start.
    pub fn start(&mut self) -> io::Result<()> {
        match *self {}
    }

    /// Where scrapes are answered.
    #[must_use]
    pub fn prometheus_address(&self) -> Option<SocketAddr> {
        match *self {}
    }

    /// The directories that must stay readable.
    #[must_use]
    pub fn watched_directories(&self) -> Vec<PathBuf> {
        match *self {}
    }

    /// Looks at watched certificates now.
    pub fn reload(&self) {
        match *self {}
    }

    /// Why the last exports failed, if they did.
    #[must_use]
    pub fn export_errors(&self) -> &[ExportError] {
        match *self {}
    }
}

impl Sink for Metrics {
    fn handshake(&mut self, _event: &Handshake) -> io::Result<()> {
        match *self {}
    }

    fn finish(&mut self, _stats: &Stats) -> io::Result<()> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing_only_when_metrics_are_asked_for() {
        let new = |config| {
            Metrics::new(
                &config,
                &|_| None,
                Box::new(io::sink()),
                std::sync::Arc::new(|_: &str| {}),
            )
        };
        assert!(matches!(new(MetricsConfig::default()), Ok(None)));
        let config = MetricsConfig {
            stdout: true,
            ..MetricsConfig::default()
        };
        assert!(matches!(new(config), Err(ConfigError::NotBuilt)));
    }
}
