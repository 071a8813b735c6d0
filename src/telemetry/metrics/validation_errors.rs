//! `tls.validation.errors`: what tlscope finds wrong with certificates, and what peers refuse.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, Detailed, Series};
use super::extra_attributes::Extras;
use super::rejected_after::MAX_REFUSAL_SERIES;
use super::{Setup, counter};
use crate::event::{ErrorType, Handshake, HandshakeError, Side};

pub(super) const VALIDATION_ERRORS: &str = "tls.validation.errors";

/// Handshakes by what is wrong with a certificate or an offer: what tlscope found, and what the peer refused.
pub(super) fn counters(meter: &Meter, setup: &Setup<'_>) -> BoundCounters<ErrorSeries> {
    let counter = counter(
        meter,
        VALIDATION_ERRORS,
        "{error}",
        "Handshakes by what is wrong with a certificate or an offer: what tlscope found, and what the peer refused.",
    );
    BoundCounters::new(counter, setup.listeners.clone(), setup.names)
        .detailed_within(setup.config.within_memory(MAX_REFUSAL_SERIES))
}

/// What is wrong with the client's certificate, each once, as the series with this side count it.
#[cfg(feature = "cli")]
pub(crate) fn client_errors(event: &Handshake) -> impl Iterator<Item = ErrorType> {
    let errors = ErrorKind::of(event).into_iter();
    errors
        .filter(|error| error.side == Some(Side::Client))
        .map(|error| error.error_type)
}

/// A series of `tls.validation.errors`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ErrorSeries {
    error: ErrorKind,
    extras: Extras,
}

impl ErrorSeries {
    /// The series of a handshake, one for each thing that is wrong.
    pub(super) fn all_of(event: &Handshake, extras: &Extras) -> impl Iterator<Item = Self> {
        let errors = ErrorKind::of(event).into_iter();
        errors.map(|error| Self {
            error,
            extras: extras.clone(),
        })
    }
}

impl Detailed for ErrorSeries {
    fn without_detail(self) -> Self {
        Self {
            extras: self.extras.without_detail(),
            ..self
        }
    }
}

/// What is wrong, and the side whose certificate or offer it is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ErrorKind {
    error_type: ErrorType,
    side: Option<Side>,
}

impl ErrorKind {
    /// What is wrong in `event`, each once: our findings on the certificates
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
        let ErrorKind { error_type, side } = self.error;
        let side = side.map(|side| KeyValue::new("tls.side", side.as_str()));
        let error_type = KeyValue::new("error.type", error_type.as_str());
        self.extras.add_to([error_type].into_iter().chain(side))
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
