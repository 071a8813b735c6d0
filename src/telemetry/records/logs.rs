//! A log record for each handshake, in packet time.

use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::TraceFlags;
use opentelemetry::{Array, InstrumentationScope, Value};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};

use super::attributes;
use super::spans::TraceIds;
use crate::event::{Handshake, Outcome};
use crate::telemetry::LoggedHandshakes;
use crate::time::Timestamp;

/// Event name of handshake log records.
const EVENT_NAME: &str = "tls.handshake";

/// Makes the log records of handshakes.
pub(crate) struct LogRecords {
    logger: SdkLogger,
    which: LoggedHandshakes,
}

impl LogRecords {
    pub(crate) fn new(which: LoggedHandshakes, scope: InstrumentationScope) -> Self {
        // Without a processor: it only makes empty records; the exports send them.
        let provider = SdkLoggerProvider::builder().build();
        Self {
            logger: provider.logger_with_scope(scope),
            which,
        }
    }

    /// The record of `event`, if it gets one; `trace` names the trace of the same handshake.
    pub(crate) fn of(&self, event: &Handshake, trace: Option<&TraceIds>) -> Option<SdkLogRecord> {
        let is_refused = event.outcome == Outcome::Failure || event.rejected_after.is_some();
        if self.which == LoggedHandshakes::Failures && !is_refused {
            return None;
        }
        let mut record = self.logger.create_log_record();
        record.set_event_name(EVENT_NAME);
        record.set_timestamp(system_time(event.time));
        record.set_observed_timestamp(SystemTime::now());
        let (severity, text) = match is_refused {
            true => (Severity::Warn, "WARN"),
            false => (Severity::Info, "INFO"),
        };
        record.set_severity_number(severity);
        record.set_severity_text(text);
        record.set_body(attributes::summary(event).into());
        for attribute in attributes::attributes(event) {
            record.add_attribute(attribute.key, any_value(attribute.value));
        }
        if let Some(ids) = trace {
            record.set_trace_context(ids.trace, ids.span, Some(TraceFlags::SAMPLED));
        }
        Some(record)
    }
}

fn any_value(value: Value) -> AnyValue {
    match value {
        Value::Bool(truth) => AnyValue::Boolean(truth),
        Value::I64(number) => AnyValue::Int(number),
        Value::F64(number) => AnyValue::Double(number),
        Value::String(text) => AnyValue::String(text),
        Value::Array(Array::String(texts)) => {
            let texts = texts.into_iter().map(AnyValue::String);
            AnyValue::ListAny(Box::new(texts.collect()))
        }
        other => AnyValue::String(other.to_string().into()),
    }
}

/// Packet time as OpenTelemetry takes it; times before 1970 become 1970.
pub(crate) fn system_time(time: Timestamp) -> SystemTime {
    let nanoseconds = u64::try_from(time.as_nanoseconds()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::{handshake, rejected_after};

    fn records(which: LoggedHandshakes) -> LogRecords {
        LogRecords::new(which, InstrumentationScope::builder("test").build())
    }

    #[test]
    fn only_failures_get_a_record_unless_all_are_asked_for() {
        let mut event = handshake();
        assert!(
            records(LoggedHandshakes::Failures)
                .of(&event, None)
                .is_none()
        );
        assert!(records(LoggedHandshakes::All).of(&event, None).is_some());
        event.outcome = Outcome::Failure;
        assert!(
            records(LoggedHandshakes::Failures)
                .of(&event, None)
                .is_some()
        );
    }

    #[test]
    fn a_refusal_after_the_handshake_gets_a_record_like_a_failure() {
        let mut event = handshake();
        event.rejected_after = Some(Box::new(rejected_after()));
        let record = records(LoggedHandshakes::Failures).of(&event, None);
        assert_eq!(record.unwrap().severity_number(), Some(Severity::Warn));
    }

    #[test]
    fn a_record_carries_packet_time() {
        let mut event = handshake();
        event.time = Timestamp::from_seconds(1_772_366_400);
        let record = records(LoggedHandshakes::All).of(&event, None).unwrap();
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_366_400);
        assert_eq!(record.timestamp(), Some(expected));
        assert_eq!(record.severity_number(), Some(Severity::Info));
        assert_eq!(record.event_name(), Some("tls.handshake"));
        assert_eq!(system_time(Timestamp::MIN), SystemTime::UNIX_EPOCH);
    }
}
