//! TLS on the wire: bytes to records to messages. Nothing here knows TCP, time or flows.

mod client_hello;
mod codec;
mod codepoints;
mod compressed_certificate;
mod detect;
mod encrypted_messages;
mod extension;
mod fingerprint;
mod fingerprint_cache;
mod list_cache;
mod message;
mod record;
mod server_hello;
mod server_messages;
mod text_cache;
mod version;

pub use client_hello::{ClientHello, MAX_LISTED};
pub use codec::{ReadError, Reader};
pub(crate) use codepoints::CodePoint;
pub use codepoints::{
    AlertDescription, AlertLevel, CipherSuite, ContentType, ExtensionType, HandshakeType,
    KeyExchange, NamedGroup, ProtocolVersion, SignatureScheme, is_grease,
};
pub use compressed_certificate::decompress_certificate;
pub use detect::{
    Detection, HELLO_AMID_STREAM, detect, is_hello_amid_stream, is_whole_client_hello,
    may_be_hello_amid_stream,
};
pub use encrypted_messages::{CertificateMessage, EncryptedExtensions};
pub use extension::Extensions;
pub use fingerprint::Fingerprint;
pub use fingerprint_cache::FingerprintCache;
pub use list_cache::ListCache;
pub use message::{Defragmenter, MAX_MESSAGE, Message};
pub use record::{HEADER_LENGTH, MAX_FRAGMENT, Piece, RecordHeader, RecordReader};
pub(crate) use server_hello::RETRY_RANDOM;
pub use server_hello::ServerHello;
pub use server_messages::{
    CertificateList, MAX_CERTIFICATES, read_certificate_authorities, read_certificate_list,
    read_key_exchange_group, read_prime_bits, read_requested_schemes,
};
pub use text_cache::TextCache;
