//! Linux cooked captures, as `-i any` writes them: SLL and SLL2.

use super::super::cursor::Cursor;
use super::super::{DecodeError, Layers};
use super::{Network, ethernet};

pub(super) fn decode_sll(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    cursor.take(14)?; // packet type, ARPHRD, address length, address
    ethernet::ether_type(cursor, layers)
}

pub(super) fn decode_sll2(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    let header = cursor.take_array::<20>()?; // protocol first; then interface, ARPHRD, type, address
    let ether_type = u16::from_be_bytes([header[0], header[1]]);
    ethernet::by_type(ether_type, cursor, layers)
}
