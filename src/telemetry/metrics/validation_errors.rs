//! `tls.validation.errors`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, Series};
use super::{HandshakeInstrument, Setup, counter};
use crate::event::{ErrorType, Handshake, HandshakeError, Side};
use crate::time::Timestamp;

/// Handshakes in which validation found a problem with a certificate or an offer.
pub(super) struct ValidationErrors(BoundCounters<ErrorSeries>);

impl ValidationErrors {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let counter = counter(
            meter,
            "tls.validation.errors",
            "{error}",
            "Handshakes in which validation found a problem with a certificate or an offer.",
        );
        let counters = BoundCounters::new(counter, setup.listeners.clone(), setup.names);
        Self(counters)
    }
}

impl HandshakeInstrument for ValidationErrors {
    fn record(&mut self, event: &Handshake) {
        for series in ErrorSeries::of(event) {
            self.0.add(series, 1);
        }
    }

    fn tick(&mut self, _: Timestamp) {
        self.0.tick();
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}

/// What is wrong with the client's certificate, each once, as the series with this side count it.
#[cfg(feature = "cli")]
pub(crate) fn client_errors(event: &Handshake) -> impl Iterator<Item = ErrorType> {
    let series = ErrorSeries::of(event).into_iter();
    series
        .filter(|series| series.side == Some(Side::Client))
        .map(|series| series.error_type)
}

/// A series of `tls.validation.errors`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ErrorSeries {
    error_type: ErrorType,
    side: Option<Side>,
}

impl ErrorSeries {
    /// The series that `event` counts in, each once: our findings on the certificates
    /// shown, and the reason why a peer gave up.
    fn of(event: &Handshake) -> Vec<Self> {
        let findings = event.validation.iter().map(|finding| Self {
            error_type: finding.error_type,
            side: Some(finding.side),
        });
        let mut series = Vec::new();
        for error in findings.chain(event.error.as_ref().and_then(Self::refused)) {
            if !series.contains(&error) {
                series.push(error);
            }
        }
        series
    }

    fn refused(error: &HandshakeError) -> Option<Self> {
        is_refusal(error.error_type).then(|| Self {
            error_type: error.error_type,
            side: error.side.map(Side::peer), // the side that gave up blames its peer
        })
    }
}

impl Series for ErrorSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let side = self
            .side
            .map(|side| KeyValue::new("tls.side", side.as_str()));
        let error_type = KeyValue::new("error.type", self.error_type.as_str());
        [error_type].into_iter().chain(side).collect()
    }
}

/// Whether a failure of this class means that a peer refused what the other side showed
/// or offered.
const fn is_refusal(error_type: ErrorType) -> bool {
    !matches!(
        error_type,
        ErrorType::DecodeError
            | ErrorType::UnexpectedMessage
            | ErrorType::BadRecordMac
            | ErrorType::NoRenegotiation
            | ErrorType::UserCanceled
            | ErrorType::InternalError
            | ErrorType::NoServerHello
            | ErrorType::HandshakeTimeout
            | ErrorType::ConnectionReset
            | ErrorType::ConnectionClosed
            | ErrorType::StartTlsRefused
            | ErrorType::NotTls
    )
}
