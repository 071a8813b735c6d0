//! Version 2 of the PROXY protocol's header (section 2.2 of its specification): binary, so nothing else shows where it ends.

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, and the length of what follows.
const FIXED: usize = 16;

/// The length of the header with which `bytes` begin; `None` if there is none, or its length was not sent yet.
pub(super) fn length_of_v2(bytes: &[u8]) -> Option<usize> {
    let fixed = bytes.first_chunk::<FIXED>()?;
    let is_header = fixed.starts_with(SIGNATURE) && fixed[12] >> 4 == 2;
    is_header.then(|| FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]])))
}
