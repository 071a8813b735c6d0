//! How single values are written, and how the JSON Schema describes them.
//!
//! Nothing here allocates to serialise: a value is formatted straight into the line.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::writer::ReadyText;
use crate::certificate::{CertificateTime, OcspStatus};
use crate::event::{
    ClientCertificate, ClosedBy, Directions, EapMethod, EapResult, EarlyData, ErrorType, Evidence,
    KeyExchangeClass, NotTlsKind, NoteKind, Outcome, Protocol, ProxyKind, RenegotiationEnd,
    Resumption, Side, Transport, UnknownBecause,
};
use crate::flow::CommunityId;
use crate::hex::{self, Hex};
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, CipherSuite, CodePoint, NamedGroup, ProtocolVersion,
    SignatureScheme,
};

/// The schema of a small value, repeated wherever it is used.
macro_rules! inline_schema {
    ($name:literal, $schema:tt) => {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            $name.into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!($schema)
        }
    };
}

/// A value out of a closed, documented set of words.
pub(crate) trait Word: Copy {
    /// The name of the set, in the schema.
    const SET: &'static str;

    /// Every word of the set.
    fn words() -> Vec<&'static str>;

    /// The word for this value.
    fn word(self) -> &'static str;
}

macro_rules! words {
    ($($type:ident)*) => {$(
        impl Word for $type {
            const SET: &'static str = stringify!($type);

            fn words() -> Vec<&'static str> {
                Self::ALL.iter().map(|value| value.as_str()).collect()
            }

            fn word(self) -> &'static str {
                self.as_str()
            }
        }
    )*};
}

words! {
    ClientCertificate ClosedBy Directions EapMethod EapResult EarlyData ErrorType Evidence
    KeyExchangeClass NotTlsKind NoteKind Outcome Protocol ProxyKind RenegotiationEnd Resumption Side Transport UnknownBecause
}

impl Word for OcspStatus {
    const SET: &'static str = "OcspStatus";

    fn words() -> Vec<&'static str> {
        let all = [Self::Good, Self::Revoked(CertificateTime(0)), Self::Unknown];
        all.map(Self::as_str).into()
    }

    fn word(self) -> &'static str {
        self.as_str()
    }
}

/// A [`Word`], written as its text.
pub(crate) struct OneOf<T>(pub(crate) T);

impl<T: Word> Serialize for OneOf<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_variant(T::SET, 0, self.0.word())
    }
}

impl<T: Word> JsonSchema for OneOf<T> {
    fn schema_name() -> Cow<'static, str> {
        T::SET.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": T::words()})
    }
}

/// What [`Display`] says, as a string.
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<T> JsonSchema for Text<T> {
    inline_schema!("Text", {"type": "string"});
}

/// A value of a TLS registry, as its name, or as a number if it has none.
pub(crate) struct Named<T>(pub(crate) T);

impl<T: Registered + Display> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.registered_name() {
            Some(name) => serializer.serialize_unit_variant("Named", 0, name),
            None => serializer.collect_str(&self.0),
        }
    }
}

impl<T> JsonSchema for Named<T> {
    inline_schema!("Named", {"type": "string"});
}

/// A moment, as RFC 3339 in UTC.
pub(crate) struct Time<T>(pub(crate) T);

impl Serialize for Time<Timestamp> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.text(&mut [0; Timestamp::TEXT]))
    }
}

impl Serialize for Time<CertificateTime> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<T> JsonSchema for Time<T> {
    inline_schema!("Time", {"type": "string", "format": "date-time"});
}

/// 64 bits as 16 hexadecimal digits: JSON numbers are only sure to hold 53.
pub(crate) struct Identifier(pub(crate) u64);

impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Hex(&self.0.to_be_bytes()).serialize(serializer)
    }
}

impl JsonSchema for Identifier {
    inline_schema!("Identifier", {"type": "string", "pattern": "^[0-9a-f]{16}$"});
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 2 * hex::BLOCK];
        serializer.serialize_str(self.digits(&mut text)) // the longest value is a SHA-256, one block
    }
}

impl JsonSchema for Hex<'_> {
    inline_schema!("Hex", {"type": "string", "pattern": "^([0-9a-f]{2})+$"});
}

/// A [`CommunityId`], as its text.
pub(crate) struct CommunityIdText(pub(crate) CommunityId);

impl Serialize for CommunityIdText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl JsonSchema for CommunityIdText {
    inline_schema!("CommunityIdText", {"type": "string"});
}

/// A duration in milliseconds, exact to the nanosecond.
pub(crate) struct Milliseconds(pub(crate) Duration);

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(crate::sink::milliseconds(self.0))
    }
}

impl JsonSchema for Milliseconds {
    inline_schema!("Milliseconds", {"type": "number", "minimum": 0});
}

/// A code point whose registered name is written.
pub(crate) trait Registered: CodePoint {
    /// The name that is displayed, if there is one.
    fn registered_name(self) -> Option<&'static str>;
}

macro_rules! registered {
    ($($type:ident)*) => {$(
        impl Registered for $type {
            fn registered_name(self) -> Option<&'static str> {
                self.name()
            }
        }
    )*};
}

registered! { AlertDescription AlertLevel CipherSuite NamedGroup ProtocolVersion SignatureScheme }

/// Code points by their numbers.
pub(crate) struct Codes<'a, T> {
    values: &'a [T],
    ready: Option<ReadyText<'a>>,
}

impl<'a, T> Codes<'a, T> {
    pub(crate) const fn of(values: &'a [T]) -> Self {
        Self {
            values,
            ready: None,
        }
    }

    /// Notes the text that was written for the same code points before. For [`writer::write`](super::writer::write) only.
    pub(super) const fn set_ready(&mut self, text: &'a [u8]) {
        self.ready = Some(ReadyText(text));
    }
}

impl<T: CodePoint> Serialize for Codes<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.ready {
            Some(ready) => ready.serialize(serializer),
            None => serializer.collect_seq(self.values.iter().map(|value| value.code())),
        }
    }
}

impl<T> JsonSchema for Codes<'_, T> {
    inline_schema!("Codes", {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 65535}});
}

/// Code points by their names; what has none is a number, as in `0x1a1a`.
pub(crate) struct Names<'a, T>(pub(crate) &'a [T]);

impl<T: Display> Serialize for Names<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Text))
    }
}

impl<T> JsonSchema for Names<'_, T> {
    inline_schema!("Names", {"type": "array", "items": {"type": "string"}});
}

/// A list whose items are each written as an `L`.
pub(crate) struct Each<'a, T, L>(&'a [T], PhantomData<L>);

impl<'a, T, L> Each<'a, T, L> {
    pub(crate) fn of(items: &'a [T]) -> Self {
        Self(items, PhantomData)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a, T, L: From<&'a T> + Serialize> Serialize for Each<'a, T, L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(L::from))
    }
}

impl<T, L: JsonSchema> JsonSchema for Each<'_, T, L> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Each_{}", L::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<L>::json_schema(generator)
    }
}

/// Whether a flag is unset, so that its key is left out.
pub(crate) fn is_unset<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: impl Serialize) -> String {
        serde_json::to_string(&value).unwrap()
    }

    #[test]
    fn milliseconds_keep_every_nanosecond_and_show_no_noise() {
        let cases = [
            (3_100_000, "3.1"),
            (3_099_999, "3.099999"),
            (1, "1e-6"),
            (0, "0.0"),
            (86_400_000_000_001, "86400000.000001"),
        ];
        for (nanoseconds, text) in cases {
            let duration = Duration::from_nanos(nanoseconds);
            let number: f64 = json(Milliseconds(duration)).parse().unwrap();
            assert_eq!(number, text.parse::<f64>().unwrap());
            assert_eq!((number * 1e6).round() as u64, nanoseconds);
        }
        assert_eq!(json(Milliseconds(Duration::from_micros(3_100))), "3.1");
    }

    #[test]
    fn hexadecimal_has_two_digits_a_byte() {
        assert_eq!(json(Hex(&[0x00, 0x1f, 0xa0])), "\"001fa0\"");
        assert_eq!(json(Identifier(0x1f)), "\"000000000000001f\"");
        assert_eq!(json(Hex(&[0; 40])).len(), 2 + 64);
    }

    #[test]
    fn an_unknown_code_point_is_written_as_its_number() {
        assert_eq!(json(Text(ProtocolVersion(0x7f7f))), "\"0x7f7f\"");
        assert_eq!(json(Text(ProtocolVersion(0x7f1c))), "\"TLS 1.3 draft 28\"");
        assert_eq!(json(Text(ProtocolVersion::TLSv1_3)), "\"TLS 1.3\"");
        assert_eq!(json(Codes::of(&[ProtocolVersion::TLSv1_3])), "[772]");
        for number in 0..=u16::MAX {
            let (suite, version) = (CipherSuite(number), ProtocolVersion(number));
            assert_eq!(json(Named(suite)), json(Text(suite)));
            assert_eq!(json(Named(version)), json(Text(version)));
        }
    }
}
