//! The series of each instrument: small keys that stand for sets of attributes.
//!
//! A key holds only what may be a label: enumerations, and registered names.

use opentelemetry::KeyValue;

use super::extra_attributes::Extras;
use crate::event::{
    Alert, ErrorType, Evidence, Handshake, HandshakeError, Outcome, Side, TlsFacts, Transport,
};

/// Stands for every code point without a registered name.
pub(crate) const OTHER: &str = "other";

/// A set of attributes.
pub(crate) trait Series {
    fn attributes(&self) -> Vec<KeyValue>;
}

/// A series of `tls.handshake.total`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct HandshakeSeries {
    outcome: Outcome,
    error_type: Option<ErrorType>,
    version: Option<&'static str>,
    cipher_suite: Option<&'static str>,
    resumed: Option<bool>,
    evidence: Evidence,
    transport: Transport,
    extras: Extras,
}

impl HandshakeSeries {
    pub(crate) fn of(event: &Handshake, extras: Extras) -> Self {
        let cipher_suite = event.tls.cipher_suite;
        Self {
            outcome: event.outcome,
            error_type: event.error.as_ref().map(|error| error.error_type),
            version: version(&event.tls),
            cipher_suite: cipher_suite.map(|suite| suite.name().unwrap_or(OTHER)),
            resumed: event.tls.resumed,
            evidence: event.evidence,
            transport: event.transport,
            extras,
        }
    }

    /// The series that stands for this one in a full table: cipher suites, and
    /// what was asked for on top, are told apart no more.
    pub(crate) fn without_detail(self) -> Self {
        Self {
            cipher_suite: self.cipher_suite.and(Some(OTHER)),
            extras: self.extras.without_detail(),
            ..self
        }
    }
}

impl Series for HandshakeSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let error_type = self.error_type.map(ErrorType::as_str);
        let attributes = [
            Some(KeyValue::new("result", self.outcome.as_str())),
            error_type.map(|text| KeyValue::new("error.type", text)),
            self.version.map(|text| KeyValue::new("tls.version", text)),
            self.cipher_suite
                .map(|text| KeyValue::new("tls.cipher_suite", text)),
            self.resumed
                .map(|resumed| KeyValue::new("tls.resumed", resumed)),
            Some(KeyValue::new("tls.evidence", self.evidence.as_str())),
            Some(KeyValue::new("network.transport", self.transport.as_str())),
        ];
        self.extras.add_to(attributes.into_iter().flatten())
    }
}

/// The series of `tls.handshake.total` that are there from the start: no rule over
/// a result or a class of failure is ever without data.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KnownSeries {
    outcome: Outcome,
    error_type: Option<ErrorType>,
}

impl KnownSeries {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let results = [Outcome::Success, Outcome::Failure, Outcome::Unknown];
        let results = results.into_iter().map(|outcome| Self {
            outcome,
            error_type: None,
        });
        results.chain(ErrorType::ALL.iter().map(|error_type| Self {
            outcome: Outcome::Failure,
            error_type: Some(*error_type),
        }))
    }
}

impl Series for KnownSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let error_type = self.error_type.map(ErrorType::as_str);
        let error_type = error_type.map(|text| KeyValue::new("error.type", text));
        let result = KeyValue::new("result", self.outcome.as_str());
        [result].into_iter().chain(error_type).collect()
    }
}

/// A series of `tls.handshake.duration`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct DurationSeries {
    outcome: Outcome,
    version: Option<&'static str>,
    resumed: Option<bool>,
    transport: Transport,
    extras: Extras,
}

impl DurationSeries {
    pub(crate) fn of(event: &Handshake, extras: Extras) -> Self {
        Self {
            outcome: event.outcome,
            version: version(&event.tls),
            resumed: event.tls.resumed,
            transport: event.transport,
            extras,
        }
    }

    /// The series that stands for this one in a full table: what was asked for on
    /// top is told apart no more.
    pub(crate) fn without_detail(self) -> Self {
        Self {
            extras: self.extras.without_detail(),
            ..self
        }
    }
}

impl Series for DurationSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let attributes = [
            Some(KeyValue::new("result", self.outcome.as_str())),
            self.version.map(|text| KeyValue::new("tls.version", text)),
            self.resumed
                .map(|resumed| KeyValue::new("tls.resumed", resumed)),
            Some(KeyValue::new("network.transport", self.transport.as_str())),
        ];
        self.extras.add_to(attributes.into_iter().flatten())
    }
}

/// A series of `tls.handshake.phase.duration`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PhaseSeries {
    phase: &'static str,
    version: Option<&'static str>,
}

impl PhaseSeries {
    pub(crate) fn of(phase: &'static str, tls: &TlsFacts) -> Self {
        Self {
            phase,
            version: version(tls),
        }
    }
}

impl Series for PhaseSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let version = self.version.map(|text| KeyValue::new("tls.version", text));
        let phase = KeyValue::new("tls.phase", self.phase);
        [phase].into_iter().chain(version).collect()
    }
}

/// A series of `tls.validation.errors`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ErrorSeries {
    error_type: ErrorType,
    side: Option<Side>,
}

impl ErrorSeries {
    /// The series that are there from the start, since `rate()` does not see
    /// the increase of a series that begins at one.
    pub(crate) fn known() -> impl Iterator<Item = Self> {
        let error_types = ErrorType::ALL.iter().copied().filter(|t| is_judgement(*t));
        error_types.flat_map(|error_type| {
            [Side::Client, Side::Server].map(|side| Self {
                error_type,
                side: Some(side),
            })
        })
    }

    /// The series that `event` counts in, each once: what we found in the
    /// certificates shown, and what made a peer give up.
    pub(crate) fn of(event: &Handshake) -> Vec<Self> {
        let findings = event.validation.iter().map(|finding| Self {
            error_type: finding.error_type,
            side: Some(finding.side),
        });
        let mut series = Vec::new();
        for error in findings.chain(event.error.as_ref().and_then(Self::judged)) {
            if !series.contains(&error) {
                series.push(error);
            }
        }
        series
    }

    fn judged(error: &HandshakeError) -> Option<Self> {
        is_judgement(error.error_type).then(|| Self {
            error_type: error.error_type,
            side: error.side.map(Side::peer), // who gave up judged the other
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

/// Whether a failure of this class means that a peer looked at what the other
/// showed or offered and refused it.
const fn is_judgement(error_type: ErrorType) -> bool {
    !matches!(
        error_type,
        ErrorType::DecodeError
            | ErrorType::UnexpectedMessage
            | ErrorType::UserCanceled
            | ErrorType::InternalError
            | ErrorType::NoServerHello
            | ErrorType::HandshakeTimeout
            | ErrorType::ConnectionReset
            | ErrorType::ConnectionClosed
            | ErrorType::NotTls
    )
}

/// A series of `tls.alerts`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AlertSeries {
    description: Option<&'static str>,
    sender: Side,
    level: Option<&'static str>,
}

impl AlertSeries {
    pub(crate) fn of(alert: &Alert) -> Self {
        let description = alert.description.map(|code| code.name().unwrap_or(OTHER));
        Self {
            description,
            sender: alert.sender,
            level: alert.level.map(|code| code.name().unwrap_or(OTHER)),
        }
    }
}

impl Series for AlertSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let attributes = [
            self.description
                .map(|text| KeyValue::new("tls.alert", text)),
            Some(KeyValue::new("tls.alert.sender", self.sender.as_str())),
            self.level
                .map(|text| KeyValue::new("tls.alert.level", text)),
        ];
        attributes.into_iter().flatten().collect()
    }
}

fn version(tls: &TlsFacts) -> Option<&'static str> {
    tls.version.map(|version| version.name().unwrap_or(OTHER))
}
