//! What openers of all versions have in common.

use crate::tls::{ContentType, RecordHeader};

/// What was in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened<'r> {
    /// What it carries; in TLS 1.3 not what its header says.
    pub content_type: ContentType,
    /// The content.
    pub content: &'r [u8],
}

/// A record's header as it was on the wire.
pub(super) const fn header_bytes(header: RecordHeader) -> [u8; 5] {
    let [major, minor] = header.version.0.to_be_bytes();
    let [high, low] = header.length.to_be_bytes();
    [header.content_type.0, major, minor, high, low]
}
