//! ERSPAN: mirrored Ethernet frames in GRE, types I to III (draft-foschiano-erspan).

use super::super::DecodeError;
use super::{Cursor, Inner, Layers, enter, require};

pub(super) const ETHER_TYPE_II: u16 = 0x88be;
pub(super) const ETHER_TYPE_III: u16 = 0x22eb;

/// Type I has no header, and no sequence number in the GRE header; type II has both.
pub(super) fn read_i_or_ii(
    is_numbered: bool,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let session = if is_numbered {
        let header = cursor.take_array::<8>()?;
        require(header[0] >> 4 == 1)?;
        Some(session(&header))
    } else {
        None
    };
    Ok(enter(layers, "erspan", session, Inner::Ethernet))
}

pub(super) fn read_iii(cursor: &mut Cursor<'_>, layers: &mut Layers) -> Result<Inner, DecodeError> {
    let header = cursor.take_array::<12>()?;
    require(header[0] >> 4 == 2)?;
    let [.., types, flags] = header;
    if flags & 1 != 0 {
        cursor.take(8)?; // platform-specific
    }
    let inner = match types >> 2 & 0x1f {
        0 => Inner::Ethernet,
        2 => Inner::Ip,
        _ => Inner::Other(super::Unread::TunnelContent),
    };
    Ok(enter(layers, "erspan", Some(session(&header)), inner))
}

/// Ten bits of the second 16.
fn session(header: &[u8]) -> u32 {
    match header {
        [_, _, high, low, ..] => u32::from(u16::from_be_bytes([*high, *low]) & 0x03ff),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    const II: [u8; 16] = [
        0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 12, 0x04, 100, 0, 0, 0, 5,
    ];
    const III: [u8; 20] = [
        0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 12, 0x04, 100, 0, 0, 0, 5, 0, 0, 0, 0,
    ];

    #[test]
    fn all_three_types_are_read() {
        let erspan = |header: &[u8]| in_ipv4(47, &[header, &frame()]);
        accepts(RAW, &erspan(&[0, 0, 0x88, 0xbe]), &["erspan"]);
        accepts(RAW, &erspan(&II), &["erspan:100"]);
        accepts(RAW, &erspan(&III), &["erspan:100"]);
    }

    #[test]
    fn type_iii_may_have_a_subheader_and_hold_ip() {
        let platform = [&with(&III, 19, 1)[..], &[0x77; 8], &frame()[..]].concat();
        accepts(RAW, &in_ipv4(47, &[&platform]), &["erspan:100"]);
        let ip = [&with(&III, 18, 2 << 2), &ipv4()[..]].concat();
        accepts(RAW, &in_ipv4(47, &[&ip]), &["erspan:100"]);
        rejects(RAW, &in_ipv4(47, &[&with(&III, 18, 1 << 2), &frame()]));
    }

    #[test]
    fn the_version_must_be_that_of_the_type() {
        rejects(RAW, &in_ipv4(47, &[&with(&II, 8, 0x20), &frame()]));
        rejects(RAW, &in_ipv4(47, &[&with(&III, 8, 0x10), &frame()]));
    }
}
