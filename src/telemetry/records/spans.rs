//! A span for a handshake, with a child for each phase, in packet time.
//!
//! The children follow one another, so that they read as a waterfall: `server_hello`
//! ends with the ServerHello, `handshake` goes on from there to the last handshake
//! message, `first_application_data` from there to the first application data. Of
//! `tcp_connect` only the length is known for certain: it is drawn as if the
//! ClientHello had followed at once.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use sha2::{Digest, Sha256};

use super::attributes;
use super::logs::system_time;
use crate::event::{Handshake, Outcome};
use crate::telemetry::ExportError;
use crate::telemetry::export::otlp::OtlpTransport;
use crate::telemetry::export::outbox::Carrier;

/// Makes spans.
pub(crate) struct Spans {
    /// The share of successes that get a span, from 0 to 1.
    ratio: f64,
    scope: InstrumentationScope,
    /// Tells runs apart: two hosts may see the same handshake.
    instance: String,
}

/// What identifies a handshake's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceIds {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
}

impl Spans {
    pub(crate) const fn new(ratio: f64, scope: InstrumentationScope, instance: String) -> Self {
        Self {
            ratio,
            scope,
            instance,
        }
    }

    /// The spans of `event`, the parent first, if it is one of those that get any:
    /// failures always do.
    pub(crate) fn of(&self, event: &Handshake) -> Option<(TraceIds, Vec<SpanData>)> {
        let hash = self.hash(event);
        let [a, b, c, d, ..] = *hash.as_chunks::<8>().0 else {
            return None; // cannot happen: the hash has 32 bytes
        };
        if event.outcome != Outcome::Failure && !self.is_sampled(b) {
            return None;
        }
        let trace = TraceId::from_bytes(*[a, b].as_flattened().first_chunk()?);
        let ids = TraceIds {
            trace,
            span: SpanId::from_bytes(c),
        };
        let mut spans = vec![self.parent(event, ids)];
        let first_child = u64::from_be_bytes(d);
        for (number, (phase, begin, end)) in phases(event).into_iter().enumerate() {
            let id = first_child.wrapping_add(number as u64);
            spans.push(self.child(ids, SpanId::from_bytes(id.to_be_bytes()), phase, begin, end));
        }
        Some((ids, spans))
    }

    /// As OpenTelemetry samples by ratio: by the last 56 bits of the trace's number.
    fn is_sampled(&self, last: [u8; 8]) -> bool {
        const BITS: u32 = 56;

        let number = u64::from_be_bytes(last) & ((1 << BITS) - 1);
        (number as f64) < self.ratio * (1_u64 << BITS) as f64
    }

    fn hash(&self, event: &Handshake) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(event.flow_id.to_be_bytes());
        hash.update(event.time.as_nanoseconds().to_be_bytes());
        hash.update(event.source.as_bytes());
        hash.update([0]);
        hash.update(self.instance.as_bytes());
        hash.finalize().into()
    }

    fn parent(&self, event: &Handshake, ids: TraceIds) -> SpanData {
        let start = event.timing.tcp_connect.unwrap_or_default();
        let begin = system_time(event.time);
        let last_phase = [
            event.timing.server_hello,
            event.timing.handshake,
            event.timing.first_application_data,
        ];
        let last_alert = event.alerts.last();
        let last_alert = last_alert.and_then(|alert| alert.time.checked_since(event.time));
        let length = last_phase.into_iter().chain([last_alert]).flatten().max();
        let status = match (&event.error, event.outcome) {
            (Some(error), _) => Status::error(error.error_type.as_str()),
            (None, Outcome::Failure) => Status::error("failure"),
            (None, Outcome::Success) => Status::Ok,
            (None, Outcome::Unknown) => Status::Unset,
        };
        SpanData {
            attributes: attributes::attributes(event),
            status,
            span_kind: SpanKind::Client,
            ..self.span(
                ids.trace,
                ids.span,
                "tls.handshake",
                before(begin, start),
                begin + length.unwrap_or_default(),
            )
        }
    }

    fn child(
        &self,
        ids: TraceIds,
        id: SpanId,
        phase: &'static str,
        begin: SystemTime,
        end: SystemTime,
    ) -> SpanData {
        SpanData {
            parent_span_id: ids.span,
            attributes: vec![KeyValue::new("tls.phase", phase)],
            ..self.span(ids.trace, id, phase, begin, end)
        }
    }

    fn span(
        &self,
        trace: TraceId,
        id: SpanId,
        name: &'static str,
        start_time: SystemTime,
        end_time: SystemTime,
    ) -> SpanData {
        let state = TraceState::default();
        SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, state),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time,
            end_time,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// Each phase that was seen, from where the one before ended.
fn phases(event: &Handshake) -> Vec<(&'static str, SystemTime, SystemTime)> {
    let hello = system_time(event.time);
    let timing = &event.timing;
    let mut phases = Vec::new();
    if let Some(connect) = timing.tcp_connect {
        phases.push(("tcp_connect", before(hello, connect), hello));
    }
    let mut done = Duration::ZERO;
    for (phase, end) in [
        ("server_hello", timing.server_hello),
        ("handshake", timing.handshake),
        ("first_application_data", timing.first_application_data),
    ] {
        if let Some(end) = end.filter(|end| *end >= done) {
            phases.push((phase, hello + done, hello + end));
            done = end;
        }
    }
    phases
}

fn before(time: SystemTime, length: Duration) -> SystemTime {
    time.checked_sub(length).unwrap_or(time)
}

/// Carries spans to a collector.
pub(crate) struct SpanCarrier(pub(crate) OtlpTransport<SpanExporter>);

impl Carrier<Vec<SpanData>> for SpanCarrier {
    fn send(&self, batch: &[Vec<SpanData>]) -> Result<(), ExportError> {
        self.0.export(batch.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::handshake;
    use crate::time::Timestamp;

    fn spans(ratio: f64) -> Spans {
        let scope = InstrumentationScope::builder("test").build();
        Spans::new(ratio, scope, "instance".to_owned())
    }

    #[test]
    fn phases_follow_one_another_in_packet_time() {
        let mut event = handshake();
        event.time = Timestamp::from_seconds(1_000);
        let (ids, spans) = spans(1.0).of(&event).unwrap();
        let second = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let told: Vec<_> = spans
            .iter()
            .map(|span| {
                let length = span.end_time.duration_since(span.start_time).unwrap();
                (span.name.as_ref(), length.as_micros())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("tls.handshake", 6_400),
                ("tcp_connect", 400),
                ("server_hello", 3_000),
                ("handshake", 3_000),
            ]
        );
        assert_eq!(spans[2].start_time, second);
        assert!(
            spans[1..]
                .iter()
                .all(|span| span.parent_span_id == ids.span)
        );
        let mut numbers: Vec<_> = spans.iter().map(|s| s.span_context.span_id()).collect();
        numbers.sort_by_key(|id| id.to_bytes());
        numbers.dedup();
        assert_eq!(numbers.len(), 4);
    }

    #[test]
    fn failures_are_always_kept_and_successes_by_ratio() {
        let count = |ratio, outcome| {
            let spans = spans(ratio);
            let kept = (0..1_000).filter(|number| {
                let mut event = handshake();
                event.flow_id = *number;
                event.outcome = outcome;
                spans.of(&event).is_some()
            });
            kept.count()
        };
        assert_eq!(count(0.0, Outcome::Failure), 1_000);
        assert_eq!(count(0.0, Outcome::Success), 0);
        assert_eq!(count(1.0, Outcome::Success), 1_000);
        let tenth = count(0.1, Outcome::Success);
        assert!((60..140).contains(&tenth), "{tenth}");
    }
}
