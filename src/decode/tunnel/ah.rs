//! Authentication Header: IP packets that are signed and not encrypted (RFC 4302).

use etherparse::IpNumber;

use super::super::DecodeError;
use super::{Cursor, Inner, Layers, enter, require};

/// Takes the header off the cursor and returns the protocol that follows; `None` if it is nested too deep to be decoded.
pub(in super::super) fn read(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Option<IpNumber>, DecodeError> {
    let [next, words, _, _, a, b, c, d] = cursor.take_array()?;
    // In words of four bytes, less two: the 8 bytes above, a sequence number, and the check value.
    let length = (usize::from(words) + 2) * 4;
    require(words >= 1)?;
    cursor.take(length - 8)?;
    let index = u32::from_be_bytes([a, b, c, d]);
    let inner = enter(layers, "ah", Some(index), Inner::Ip);
    Ok((inner == Inner::Ip).then_some(IpNumber(next)))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    /// A header before a segment's: 24 bytes, index 300.
    const HEADER: [u8; 24] = [
        6, 4, 0, 0, 0, 0, 1, 44, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
    ];

    #[test]
    fn signed_segments_are_read() {
        accepts(RAW, &in_ipv4(51, &[&HEADER, &ipv4()[20..]]), &["ah:300"]);
        accepts(RAW, &in_ipv6(51, &[&HEADER, &ipv6()[40..]]), &["ah:300"]);
        let tunnel = in_ipv4(51, &[&with(&HEADER, 0, 4), &ipv4()]);
        accepts(RAW, &tunnel, &["ah:300", "ipip"]);
        rejects(RAW, &in_ipv4(51, &[&with(&HEADER, 1, 0), &ipv4()[20..]]));
        rejects(RAW, &in_ipv4(51, &[&with(&HEADER, 1, 255), &ipv4()[20..]]));
    }

    #[test]
    fn headers_in_headers_are_read_up_to_the_limit() {
        let nested = with(&HEADER, 0, 51);
        let packet = |depth| in_ipv4(51, &[&nested.repeat(depth), &HEADER, &ipv4()[20..]]);
        accepts(RAW, &packet(3), &["ah:300"; 4]);
        rejects(RAW, &packet(4));
        rejects(RAW, &in_ipv6(51, &[&nested.repeat(1000)]));
    }
}
