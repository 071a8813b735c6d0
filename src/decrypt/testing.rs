//! Helpers for the tests of this module.

use crate::tls::{HEADER_LENGTH, RecordHeader};

/// The bytes that hexadecimal digits stand for; white space is ignored.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Gives header and fragment of a whole record to `open`.
pub(super) fn open_record<T>(
    record: &[u8],
    open: impl FnOnce(RecordHeader, &mut [u8]) -> Option<T>,
) -> Option<T> {
    let header = RecordHeader::read(record).unwrap();
    let mut fragment = record[HEADER_LENGTH..].to_vec();
    assert_eq!(fragment.len(), usize::from(header.length));
    open(header, &mut fragment)
}
