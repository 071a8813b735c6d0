//! The list of extensions in a hello (RFC 8446 §4.2).

use super::ExtensionType;
use super::client_hello::MAX_LISTED;
use super::codec::{ReadError, Reader, lossy_text};

/// Iterates over extensions in the order of the wire; ends at the first one that reaches past the end.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    reader: Reader<'a>,
    has_overrun: bool,
}

impl<'a> Extensions<'a> {
    /// The extensions in `list`, which does not include the length before it.
    #[must_use]
    pub const fn new(list: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(list),
            has_overrun: false,
        }
    }

    /// Whether the last extension read reaches past the end of the list.
    #[must_use]
    pub const fn has_overrun(&self) -> bool {
        self.has_overrun
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (ExtensionType, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() || self.has_overrun {
            return None;
        }
        let mut read = || {
            let extension_type = ExtensionType(self.reader.u16()?);
            Ok::<_, ReadError>((extension_type, self.reader.vector_u16()?.rest()))
        };
        let extension = read().ok();
        self.has_overrun = extension.is_none();
        extension
    }
}

/// The protocol name that a server selected, in the same form: the first of the list. It takes the place of `room`, which means nothing.
pub(super) fn selected_protocol(
    reader: &mut Reader<'_>,
    mut room: String,
) -> Result<Option<String>, ReadError> {
    let mut list = reader.vector_u16()?;
    let mut selected = None;
    while !list.is_empty() {
        let name = list.vector_u8()?.rest();
        selected.get_or_insert(name);
    }
    Ok(selected.map(|name| {
        room.clear();
        room.push_str(&lossy_text(name));
        room
    }))
}

/// A list of protocol names.
#[derive(Default)]
pub(super) struct ProtocolNames {
    /// No more than [`MAX_LISTED`].
    pub(super) names: Vec<String>,
    /// How many more there were.
    pub(super) omitted: u32,
    /// The first and last byte of the first name: JA4 needs the bytes.
    pub(super) ends: Option<(u8, u8)>,
}

/// RFC 7301 §3.1: `ProtocolName protocol_name_list<2..2^16-1>`.
///
/// The names take the place of those in `room`, which mean nothing.
pub(super) fn protocol_names(
    reader: &mut Reader<'_>,
    room: Vec<String>,
) -> Result<ProtocolNames, ReadError> {
    let mut list = reader.vector_u16()?;
    let mut offered = ProtocolNames {
        names: room,
        ..ProtocolNames::default()
    };
    let mut count = 0;
    while !list.is_empty() {
        let name = list.vector_u8()?.rest();
        if count == 0 {
            offered.ends = name.first().copied().zip(name.last().copied());
        }
        let text = lossy_text(name);
        match offered.names.get_mut(count) {
            Some(place) => {
                place.clear();
                place.push_str(&text);
            }
            None if count < MAX_LISTED => offered.names.push(text.into_owned()),
            None => {
                offered.omitted += 1;
                continue;
            }
        }
        count += 1;
    }
    offered.names.truncate(count);
    Ok(offered)
}
