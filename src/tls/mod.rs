//! Bytes to records to messages: no TCP, no time, no flow.

mod codepoints;
mod fingerprint;

pub use codepoints::{
    AlertDescription, AlertLevel, CipherSuite, ContentType, ExtensionType, HandshakeType,
    NamedGroup, ProtocolVersion, SignatureScheme, is_grease,
};
pub use fingerprint::Fingerprint;
