//! EtherTypes that more than one reader needs (IANA "IEEE 802 Numbers").

/// Up to here, the field is the length of an IEEE 802.3 frame.
pub(in super::super) const MAX_LENGTH: u16 = 1500;
/// Ethernet in GRE, Geneve and the like.
pub(in super::super) const BRIDGED: u16 = 0x6558;
/// MPLS; multicast is 0x8848.
pub(in super::super) const MPLS: u16 = 0x8847;
/// PPP in GRE.
pub(in super::super) const PPP: u16 = 0x880b;
/// Network Service Header.
pub(in super::super) const NSH: u16 = 0x894f;
