//! EAPOL frames (IEEE 802.1X-2020 §11): EAP on a link, without IP.
//!
//! They are rare, so a frame that turned out to have this EtherType is read once more, from its first byte on.

use crate::capture::LinkType;

/// An address of a link layer (IEEE 802, EUI-48).
pub type HardwareAddress = [u8; 6];

/// A frame with an EAP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EapolFrame<'a> {
    /// Who it is for: mostly a group address on wires.
    pub destination: HardwareAddress,
    /// Who sent it.
    pub source: HardwareAddress,
    /// What it is.
    pub kind: EapolKind,
    /// The EAP packet, as far as it was captured, and padding of the frame.
    pub body: &'a [u8],
}

/// What an EAPOL frame is. IEEE 802.1X-2020 table 11-3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EapolKind {
    /// It has an EAP packet.
    Eap,
    /// A device asks to be asked who it is.
    Start,
}

/// EtherTypes of EAPOL: on the link, and through an access point to another one (preauthentication, IEEE 802.11-2020 §12.6.8.2).
const ETHER_TYPES: [u16; 2] = [0x888e, 0x88c7];

/// Whether an EtherType is EAPOL.
#[must_use]
pub fn is_eapol(ether_type: u16) -> bool {
    ETHER_TYPES.contains(&ether_type)
}

/// Whether an address is that of a group: on wires, both sides send to the group of all that may authenticate.
#[must_use]
pub const fn is_group([first, ..]: HardwareAddress) -> bool {
    first & 1 == 1
}

impl<'a> EapolFrame<'a> {
    /// Reads a frame of Ethernet or of 802.11, with or without what the radio says; `None` if it has nothing of EAP.
    #[must_use]
    pub fn read(link_type: LinkType, frame: &'a [u8]) -> Option<Self> {
        let (destination, source, rest) = match link_type {
            LinkType::ETHERNET => ethernet(frame)?,
            IEEE802_11 => wireless(frame)?,
            IEEE802_11_RADIO => {
                let [0, _, low, high, ..] = *frame else {
                    return None;
                };
                wireless(frame.get(usize::from(u16::from_le_bytes([low, high]))..)?)?
            }
            _ => return None,
        };
        let (&[_version, kind, high, low], body) = rest.split_first_chunk()?;
        let kind = match kind {
            0 => EapolKind::Eap,
            1 => EapolKind::Start,
            _ => return None,
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        Some(Self {
            destination,
            source,
            kind,
            body: body.get(..length).unwrap_or(body),
        })
    }
}

const IEEE802_11: LinkType = LinkType(105);
const IEEE802_11_RADIO: LinkType = LinkType(127);

/// Most VLAN tags in front of EAPOL.
const MAX_TAGS: usize = 4;

/// Destination, source, and what follows the EtherType.
fn ethernet(frame: &[u8]) -> Option<(HardwareAddress, HardwareAddress, &[u8])> {
    let (destination, rest) = frame.split_first_chunk()?;
    let (source, mut rest) = rest.split_first_chunk()?;
    for _ in 0..=MAX_TAGS {
        let (ether_type, behind) = rest.split_first_chunk()?;
        match u16::from_be_bytes(*ether_type) {
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => rest = behind.get(2..)?,
            value if is_eapol(value) => return Some((*destination, *source, behind)),
            _ => return None,
        }
    }
    None
}

/// Frame control, duration, three addresses, fragment and sequence numbers.
const WIRELESS_HEADER: usize = 24;
/// 802.2 LLC and SNAP.
const SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];

/// The same of a data frame of 802.11 (IEEE 802.11-2020 §9.3.2.1).
fn wireless(frame: &[u8]) -> Option<(HardwareAddress, HardwareAddress, &[u8])> {
    let header = frame.get(..WIRELESS_HEADER)?;
    let (kind, flags) = (header[0], header[1]);
    let address = |at: usize| <HardwareAddress>::try_from(&header[at..at + 6]).ok();
    let (destination, source) = match flags & 0x03 {
        1 => (address(16)?, address(10)?), // to the network
        2 => (address(4)?, address(16)?),  // from it
        0 => (address(4)?, address(10)?),
        _ => return None,
    };
    let is_data = kind & 0x0c == 0x08 && kind & 0x40 == 0;
    let has_quality = kind & 0x80 != 0;
    let has_throughput_control = has_quality && flags & 0x80 != 0;
    let more = usize::from(has_quality) * 2 + usize::from(has_throughput_control) * 4;
    let rest = frame.get(WIRELESS_HEADER + more..).filter(|_| is_data)?;
    let rest = rest.strip_prefix(&SNAP)?;
    let (ether_type, behind) = rest.split_first_chunk()?;
    is_eapol(u16::from_be_bytes(*ether_type)).then_some((destination, source, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATION: HardwareAddress = [2, 0, 0, 0, 0, 1];
    const AUTHENTICATOR: HardwareAddress = [2, 0, 0, 0, 0xff, 1];
    const GROUP: HardwareAddress = [1, 0x80, 0xc2, 0, 0, 3];
    /// Version 2, an EAP packet of four bytes, and padding.
    const EAPOL: &[u8] = &[2, 0, 0, 4, 3, 7, 0, 4, 0, 0];

    fn ethernet_frame(tags: &[u8]) -> Vec<u8> {
        [&GROUP[..], &STATION, tags, &[0x88, 0x8e], EAPOL].concat()
    }

    #[test]
    fn reads_addresses_and_packet_behind_vlan_tags() {
        for tags in [
            &[][..],
            &[0x81, 0, 0, 5],
            &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6],
        ] {
            let bytes = ethernet_frame(tags);
            let frame = EapolFrame::read(LinkType::ETHERNET, &bytes).unwrap();
            assert_eq!((frame.destination, frame.source), (GROUP, STATION));
            assert_eq!(
                (frame.kind, frame.body),
                (EapolKind::Eap, &[3, 7, 0, 4][..])
            );
        }
        assert!(is_group(GROUP) && !is_group(STATION));
    }

    #[test]
    fn every_prefix_is_no_frame_or_a_shorter_packet() {
        let bytes = ethernet_frame(&[0x81, 0, 0, 5]);
        for cut in 0..bytes.len() {
            match EapolFrame::read(LinkType::ETHERNET, &bytes[..cut]) {
                Some(frame) => assert!(cut >= 22 && frame.body.len() <= 4, "{cut}"),
                None => assert!(cut < 22, "{cut}"),
            }
        }
    }

    #[test]
    fn reads_both_directions_of_a_wireless_network() {
        let snap = [&SNAP[..], &[0x88, 0x8e], EAPOL].concat();
        let frame = |kind, flags, addresses: [HardwareAddress; 3], quality: &[u8]| {
            let header = [&[kind, flags, 0, 0][..], &addresses.concat(), &[0, 0]].concat();
            [&header[..], quality, &snap].concat()
        };
        let up = frame(0x08, 1, [AUTHENTICATOR, STATION, AUTHENTICATOR], &[]);
        let down = frame(0x88, 2, [STATION, AUTHENTICATOR, AUTHENTICATOR], &[0; 2]);
        let ends = |link_type, bytes: &[u8]| {
            let frame = EapolFrame::read(LinkType(link_type), bytes).unwrap();
            (frame.source, frame.destination)
        };
        assert_eq!(ends(105, &up), (STATION, AUTHENTICATOR));
        assert_eq!(ends(105, &down), (AUTHENTICATOR, STATION));
        let radio = [&[0, 0, 8, 0, 0, 0, 0, 0][..], &up].concat();
        assert_eq!(ends(127, &radio), (STATION, AUTHENTICATOR));
        let beacon = frame(0x80, 0, [GROUP, AUTHENTICATOR, AUTHENTICATOR], &[]);
        assert_eq!(EapolFrame::read(IEEE802_11, &beacon), None);
    }

    #[test]
    fn keys_and_other_ether_types_are_left_alone() {
        let mut key = ethernet_frame(&[]);
        key[15] = 3;
        assert_eq!(EapolFrame::read(LinkType::ETHERNET, &key), None);
        let mut ip = ethernet_frame(&[]);
        ip[12..14].copy_from_slice(&[8, 0]);
        assert_eq!(EapolFrame::read(LinkType::ETHERNET, &ip), None);
    }
}
