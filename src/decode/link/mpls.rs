//! MPLS label stacks (RFC 3032), with IP or an Ethernet pseudowire (RFC 4448) below.

use super::super::cursor::Cursor;
use super::super::tunnel::{self, Inner};
use super::super::{DecodeError, Layer, Layers, Unread, ip};
use super::{Network, ethernet};

/// Labels of one stack. Networks use up to ten with segment routing; the bound is for hostile packets.
const MAX_LABELS: usize = 16;
/// The label that follows spreads load and names no path (RFC 6790).
const ENTROPY_INDICATOR: u32 = 7;
/// Labels up to this one have a purpose of their own (RFC 7274).
const LAST_SPECIAL: u32 = 15;

/// Reads a stack as one tunnel, with the label at its bottom: that of the service, below those of the way through the network.
pub(super) fn decode(cursor: &mut Cursor<'_>, layers: &mut Layers) -> Result<Network, DecodeError> {
    let label = bottom_label(cursor)?;
    // Nothing says what is below, so the first half of a byte does (RFC 4928 §3).
    let bytes = cursor.bytes();
    let inner = match bytes.first().map(|first| first >> 4) {
        _ if ip::is_plausible(cursor) => Inner::Ip,
        Some(1) => Inner::Other(Unread::TunnelControl), // associated channel (RFC 5586)
        Some(0) if bytes.get(4..).is_some_and(ethernet::is_plausible) => {
            cursor.take(4)?; // the control word of a pseudowire
            Inner::Ethernet
        }
        _ if ethernet::is_plausible(bytes) => Inner::Ethernet,
        _ => Inner::Other(Unread::TunnelContent),
    };
    super::follow(
        tunnel::enter(layers, "mpls", Some(label), inner),
        cursor,
        layers,
    )
}

/// Takes the stack off the cursor and returns its last label that stands for a path; the last of all if there is none.
fn bottom_label(cursor: &mut Cursor<'_>) -> Result<u32, DecodeError> {
    let (mut above, mut bottom) = (None, None);
    for _ in 0..MAX_LABELS {
        let entry = u32::from_be_bytes(cursor.take_array()?);
        let label = entry >> 12;
        if above != Some(ENTROPY_INDICATOR) && label > LAST_SPECIAL {
            bottom = Some(label);
        }
        above = Some(label);
        if entry & 0x100 != 0 {
            return Ok(bottom.unwrap_or(label));
        }
    }
    Err(DecodeError::Malformed { layer: Layer::Link })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const ETHERNET: LinkType = LinkType::ETHERNET;

    /// An entry of a stack; the last of its bytes but one says whether it is at the bottom.
    fn entry(label: u32, is_bottom: bool) -> [u8; 4] {
        (label << 12 | u32::from(is_bottom) << 8 | 64).to_be_bytes()
    }

    fn mpls(parts: &[&[u8]]) -> Vec<u8> {
        ethernet(0x8847, &parts.concat())
    }

    #[test]
    fn the_label_of_the_service_names_the_tunnel() {
        let bottom = entry(100, true);
        accepts(ETHERNET, &mpls(&[&bottom, &ipv4()]), &["mpls:100"]);
        accepts(
            LinkType::MPLS,
            &[&bottom, &ipv6()[..]].concat(),
            &["mpls:100"],
        );
        let stack = [entry(16_000, false), bottom].concat();
        accepts(ETHERNET, &mpls(&[&stack, &ipv4()]), &["mpls:100"]);
        let entropy = [entry(100, false), entry(7, false), entry(77_777, true)].concat();
        accepts(ETHERNET, &mpls(&[&entropy, &ipv4()]), &["mpls:100"]);
        accepts(ETHERNET, &mpls(&[&entry(0, true), &ipv4()]), &["mpls:0"]);
        let in_udp = in_udp(50_000, 6635, &[&bottom, &ipv4()]);
        accepts(LinkType::RAW, &in_udp, &["mpls:100"]);
        accepts(
            LinkType::RAW,
            &in_ipv4(137, &[&bottom, &ipv4()]),
            &["mpls:100"],
        );
    }

    #[test]
    fn pseudowires_are_read_with_and_without_a_control_word() {
        let bottom = entry(100, true);
        accepts(ETHERNET, &mpls(&[&bottom, &frame()]), &["mpls:100"]);
        accepts(
            ETHERNET,
            &mpls(&[&bottom, &[0; 4], &frame()]),
            &["mpls:100"],
        );
        let like_ipv4 = with(&frame(), 0, 0x45);
        accepts(ETHERNET, &mpls(&[&bottom, &like_ipv4]), &["mpls:100"]);
        rejects(ETHERNET, &mpls(&[&bottom, &[0x10, 0, 0, 0x21], &ipv4()]));
    }

    #[test]
    fn a_stack_without_a_bottom_is_not_read() {
        let stack = entry(100, false).repeat(16);
        rejects(ETHERNET, &mpls(&[&stack, &entry(100, true), &ipv4()]));
        accepts(
            ETHERNET,
            &mpls(&[&stack[4..], &entry(100, true), &ipv4()]),
            &["mpls:100"],
        );
        rejects(ETHERNET, &mpls(&[&entry(100, false).repeat(5000)]));
    }
}
