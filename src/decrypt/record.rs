//! What the decryption of all versions has in common.

use crate::tls::ContentType;
#[cfg(feature = "decrypt")]
use crate::tls::RecordHeader;

/// The content of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened<'r> {
    /// Its type; in TLS 1.3 not the one in the header.
    pub content_type: ContentType,
    /// The content.
    pub content: &'r [u8],
}

/// A record's header as it was on the wire.
#[cfg(feature = "decrypt")]
pub(super) const fn header_bytes(header: RecordHeader) -> [u8; 5] {
    let [major, minor] = header.version.0.to_be_bytes();
    let [high, low] = header.length.to_be_bytes();
    [header.content_type.0, major, minor, high, low]
}
