//! Stands in for telemetry in a build without the feature `otel`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{ConfigError, ExportError, Losses, MetricsConfig, Notice};
use crate::event::Handshake;
use crate::sink::Sink;
use crate::stats::Stats;

/// Telemetry that is opened and not set up; this build has none.
#[derive(Debug)]
pub enum Opened {}

impl Opened {
    /// `None`, unless flags ask for telemetry; the environment is ignored.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NotBuilt`] if flags ask for telemetry.
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

    /// Sets up the exports.
    ///
    /// # Errors
    ///
    /// None: there is nothing to set up.
    pub fn prepare(self) -> Result<Prepared, ConfigError> {
        match self {}
    }

    /// The TCP ports that exports connect to.
    #[must_use]
    pub fn collector_ports(&self) -> Vec<u16> {
        match *self {}
    }

    /// The directories that must stay readable.
    #[must_use]
    pub fn watched_directories(&self) -> Vec<PathBuf> {
        match *self {}
    }
}

/// Telemetry that is set up and has not started; this build has none.
#[derive(Debug)]
pub enum Prepared {}

impl Prepared {
    /// Starts to export.
    ///
    /// # Errors
    ///
    /// None: there is nothing to start.
    pub fn start(self) -> io::Result<Telemetry> {
        match self {}
    }

    /// Where scrapes will be answered.
    #[must_use]
    pub fn prometheus_address(&self) -> Option<SocketAddr> {
        match *self {}
    }
}

/// Telemetry that has started; this build has none.
#[derive(Debug)]
pub enum Telemetry {}

impl Telemetry {
    /// Checks the watched certificate files now.
    pub fn reload(&self) {
        match *self {}
    }

    /// Notes what the outputs could not write so far.
    pub fn set_losses(&self, _losses: Losses) {
        match *self {}
    }

    /// Why the last exports failed, if they did.
    #[must_use]
    pub fn export_errors(&self) -> &[ExportError] {
        match *self {}
    }
}

impl Sink for Telemetry {
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
    fn reports_the_missing_feature_only_if_telemetry_is_asked_for() {
        let new = |config| {
            Prepared::new(
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
