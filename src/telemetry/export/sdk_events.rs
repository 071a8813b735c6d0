//! What the OpenTelemetry SDK reports in events for logs and nowhere else: that a collector rejected
//! a part of an export, and how long it asks to wait over gRPC.
//!
//! The events are private to the SDK. The tests below hold their names and fields for both protocols.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// The crate whose events are read.
const TARGET: &str = "opentelemetry-otlp";
/// Ends the name of the event about a partial success.
const PARTIAL_SUCCESS: &str = ".PartialSuccess";
/// Ends the name of the event about a gRPC status that is an error.
const EXPORT_FAILED: &str = ".ExportFailed";

/// Listens to the events of the exports that run within [`SdkEvents::during`].
#[derive(Clone, Debug)]
pub(super) struct SdkEvents {
    dispatch: Dispatch,
    heard: Arc<Mutex<Heard>>,
}

/// What the events of one export said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Data points, log records or spans that the collector rejected of an export that it took.
    pub(super) rejected: u64,
    /// The collector's text about a partial success; it may warn without rejecting anything.
    pub(super) message: String,
    /// How long the collector asks to wait (`google.rpc.RetryInfo`).
    pub(super) retry_after: Option<Duration>,
}

impl SdkEvents {
    pub(super) fn new() -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let listener = Listener(Arc::clone(&heard));
        Self {
            dispatch: Dispatch::new(listener),
            heard,
        }
    }

    /// Runs an export on this thread; returns its result, and what its events said.
    pub(super) fn during<T>(&self, export: impl FnOnce() -> T) -> (T, Heard) {
        drop(self.take());
        let result = tracing::dispatcher::with_default(&self.dispatch, export);
        (result, self.take())
    }

    fn take(&self) -> Heard {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes the events that matter, and no spans.
struct Listener(Arc<Mutex<Heard>>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let name = metadata.name();
        metadata.is_event()
            && metadata.target() == TARGET
            && (name.ends_with(PARTIAL_SUCCESS) || name.ends_with(EXPORT_FAILED))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1) // no span is enabled
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        event.record(&mut *heard);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Heard {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name().starts_with("rejected_") {
            self.rejected += u64::try_from(value).unwrap_or_default();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "error_message" => value.clone_into(&mut self.message),
            "grpc_details" => self.retry_after = retry_info(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// The delay in the details of a gRPC status, which the event has as a list of numbers: `[8, 14, 26]`.
fn retry_info(details: &str) -> Option<Duration> {
    let list = details.strip_prefix('[')?.strip_suffix(']')?;
    let bytes: Vec<u8> = list
        .split(", ")
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    // google.rpc.Status: repeated google.protobuf.Any details = 3
    fields(&bytes).into_iter().find_map(|(number, any)| {
        let any = fields(any.bytes().filter(|_| number == 3)?);
        let url = field(&any, 1)?.bytes()?;
        let delay = field(&any, 2)?.bytes()?;
        url.ends_with(b"/google.rpc.RetryInfo").then_some(())?;
        // google.rpc.RetryInfo: google.protobuf.Duration retry_delay = 1; Duration: seconds = 1, nanos = 2
        let delay = fields(field(&fields(delay), 1)?.bytes()?);
        let part = |number| field(&delay, number).map_or(Some(0), |value| value.number());
        let nanoseconds = u32::try_from(part(2)?).ok()?;
        Some(Duration::from_secs(part(1)?).saturating_add(Duration::from_nanos(nanoseconds.into())))
    })
}

/// The value of a field of a protocol buffer.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    const fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Bytes(_) => None,
        }
    }

    const fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Number(_) => None,
        }
    }
}

fn field<'a>(fields: &[(u64, Value<'a>)], number: u64) -> Option<Value<'a>> {
    let mut matching = fields.iter().filter(|(found, _)| *found == number);
    matching.next().map(|(_, value)| *value)
}

/// The fields of a protocol buffer, up to the first that is broken or has a fixed width: there are none of those here.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    let mut next = || -> Option<(u64, Value<'_>)> {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Value::Bytes(value)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    };
    while let Some(field) = next() {
        fields.push(field);
    }
    fields
}

/// Seven bits a byte, the lowest first; the last byte has the high bit clear.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A status "resource exhausted" with one detail.
    fn status(type_url: &str, detail: &[u8]) -> Vec<u8> {
        let field = |number: u8, value: &[u8]| {
            [
                &[number << 3 | 2, u8::try_from(value.len()).unwrap()],
                value,
            ]
            .concat()
        };
        let any = [field(1, type_url.as_bytes()), field(2, detail)].concat();
        [vec![8, 8], field(2, b"busy"), field(3, &any)].concat()
    }

    const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

    fn delay(detail: &[u8]) -> Option<Duration> {
        retry_info(&format!("{:?}", status(RETRY_INFO, detail)))
    }

    #[test]
    fn a_delay_is_read_from_the_details_of_a_status() {
        // retry_delay = { seconds: 200, nanos: 5 }
        assert_eq!(
            delay(&[10, 5, 8, 0xc8, 1, 16, 5]),
            Some(Duration::new(200, 5))
        );
        assert_eq!(delay(&[10, 0]), Some(Duration::ZERO));
        assert_eq!(retry_info("[]"), None);
        assert_eq!(retry_info("gibberish"), None);
        let other = status("type.googleapis.com/google.rpc.Help", &[10, 2, 8, 1]);
        assert_eq!(retry_info(&format!("{other:?}")), None);
    }

    #[test]
    fn every_prefix_of_the_details_is_no_delay() {
        let whole = status(RETRY_INFO, &[10, 5, 8, 0xc8, 1, 16, 5]);
        for length in 0..whole.len() {
            assert_eq!(retry_info(&format!("{:?}", &whole[..length])), None);
        }
        // Longer than a number can be, and a length beyond the end.
        assert!(fields(&[8; 1]).is_empty());
        assert!(fields(&[0xff; 30]).is_empty());
        assert!(fields(&[10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_empty());
    }
}
