//! A span for a handshake, with a child for each phase, in packet time.
//!
//! The children follow one another, so that a viewer shows a waterfall: `server_hello`
//! ends with the ServerHello, `handshake` runs from there to the last handshake message,
//! `first_application_data` from there to the first application data. Only the length of
//! `tcp_connect` is certain: it is drawn as if the ClientHello had followed at once.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use sha2::{Digest, Sha256};

use super::attributes;
use super::logs::system_time;
use crate::event::{Handshake, Outcome};

/// Decides which handshakes get a trace, and names it.
pub(crate) struct Sampler {
    /// The share of successes that get a trace, from 0 to 1; failures and refusals after the handshake always get one.
    ratio: f64,
    /// Distinguishes hosts that see the same handshake.
    instance: String,
}

/// What identifies the trace of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceIds {
    pub(crate) trace: TraceId,
    /// The span of the whole handshake.
    pub(crate) span: SpanId,
    /// The span of the first phase; those of the others follow.
    first_phase: u64,
}

impl Sampler {
    pub(crate) const fn new(ratio: f64, instance: String) -> Self {
        Self { ratio, instance }
    }

    /// The trace of `event`, if it gets one.
    pub(crate) fn trace_of(&self, event: &Handshake) -> Option<TraceIds> {
        let hash = self.hash(event);
        let [a, b, c, d] = *hash.as_chunks::<8>().0 else {
            return None; // cannot happen: the hash has 32 bytes
        };
        let is_refused = event.outcome == Outcome::Failure || event.rejected_after.is_some();
        if !is_refused && !self.is_sampled(b) {
            return None;
        }
        Some(TraceIds {
            trace: TraceId::from_bytes(*[a, b].as_flattened().first_chunk()?),
            span: SpanId::from_bytes(c),
            first_phase: u64::from_be_bytes(d),
        })
    }

    /// Samples as OpenTelemetry does by ratio: by the last 56 bits of the trace's number.
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
}

/// Makes the spans of handshakes.
pub(crate) struct Spans {
    scope: InstrumentationScope,
}

impl Spans {
    pub(crate) const fn new(scope: InstrumentationScope) -> Self {
        Self { scope }
    }

    /// The spans of `event`, the parent first.
    pub(crate) fn of(&self, event: &Handshake, ids: &TraceIds) -> Vec<SpanData> {
        let mut spans = vec![self.parent(event, ids)];
        for (number, (phase, begin, end)) in phases(event).into_iter().enumerate() {
            let id = ids.first_phase.wrapping_add(number as u64);
            let id = SpanId::from_bytes(id.to_be_bytes());
            spans.push(self.child(ids, id, phase, begin, end));
        }
        spans
    }

    fn parent(&self, event: &Handshake, ids: &TraceIds) -> SpanData {
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
        ids: &TraceIds,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::{handshake, rejected_after};
    use crate::time::Timestamp;

    fn sampler(ratio: f64) -> Sampler {
        Sampler::new(ratio, "instance".to_owned())
    }

    #[test]
    fn phases_follow_one_another_in_packet_time() {
        let mut event = handshake();
        event.time = Timestamp::from_seconds(1_000);
        let ids = sampler(1.0).trace_of(&event).unwrap();
        let scope = InstrumentationScope::builder("test").build();
        let spans = Spans::new(scope).of(&event, &ids);
        let second = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let lengths: Vec<_> = spans
            .iter()
            .map(|span| {
                let length = span.end_time.duration_since(span.start_time).unwrap();
                (span.name.as_ref(), length.as_micros())
            })
            .collect();
        assert_eq!(
            lengths,
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
    fn failures_always_get_a_trace_and_successes_by_ratio() {
        let count = |ratio, outcome| {
            let sampler = sampler(ratio);
            let traced = (0..1_000).filter(|number| {
                let mut event = handshake();
                event.flow_id = *number;
                event.outcome = outcome;
                sampler.trace_of(&event).is_some()
            });
            traced.count()
        };
        assert_eq!(count(0.0, Outcome::Failure), 1_000);
        assert_eq!(count(0.0, Outcome::Success), 0);
        assert_eq!(count(1.0, Outcome::Success), 1_000);
        let tenth = count(0.1, Outcome::Success);
        assert!((60..140).contains(&tenth), "{tenth}");
    }

    #[test]
    fn a_refusal_after_the_handshake_always_gets_a_trace() {
        let mut event = handshake();
        assert_eq!(sampler(0.0).trace_of(&event), None);
        event.rejected_after = Some(Box::new(rejected_after()));
        assert!(sampler(0.0).trace_of(&event).is_some());
    }
}
