//! Netlink messages (RFC 3549 §2.3.2): a header, and attributes with a type and a length, all in the byte order of the host.

use std::io;

use rustix::fd::OwnedFd;
use rustix::net::netlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// Bytes of a message's header.
pub(super) const HEADER: usize = 16;
/// The type of an answer that is an error, or an acknowledgment.
pub(super) const ERROR: u16 = 2;
/// The type of the last answer to a dump.
pub(super) const DONE: u16 = 3;
/// Flags of a request: for one object, and for all.
pub(super) const REQUEST: u16 = 1;
pub(super) const DUMP: u16 = 0x300;

/// Longer than what the kernel puts into one answer.
const ANSWER: usize = 32 << 10;

/// A socket to one part of the kernel.
#[derive(Debug)]
pub(super) struct NetlinkSocket {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl NetlinkSocket {
    pub(super) fn diagnosis() -> io::Result<Self> {
        Self::open(Some(netlink::SOCK_DIAG))
    }

    pub(super) fn routing() -> io::Result<Self> {
        Self::open(None) // NETLINK_ROUTE is protocol 0
    }

    fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        Ok(Self {
            socket,
            buffer: vec![0; ANSWER],
        })
    }

    pub(super) fn send(&self, requests: &[u8]) -> io::Result<()> {
        send(&self.socket, requests, SendFlags::empty())?;
        Ok(())
    }

    /// The answers that are there. The kernel has made them when `send` returns.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there are none.
    pub(super) fn receive(&mut self) -> io::Result<&[u8]> {
        let (length, _) = recv(
            &self.socket,
            self.buffer.as_mut_slice(),
            RecvFlags::DONTWAIT,
        )?;
        Ok(self.buffer.get(..length).unwrap_or_default())
    }
}

/// A message without its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'b> {
    pub(super) kind: u16,
    /// That of the request that it answers.
    pub(super) sequence: u32,
    pub(super) body: &'b [u8],
}

/// The messages in what was received, up to the first that is malformed.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let message = Message {
            kind: u16_at(bytes, 4)?,
            sequence: u32_at(bytes, 8)?,
            body: bytes.get(HEADER..length)?,
        };
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in the rest of a message: types and values.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const ATTRIBUTE_HEADER: usize = 4;
    /// The upper bits say how the value is stored.
    const TYPE: u16 = 0x3fff;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let attribute = (
            u16_at(bytes, 2)? & TYPE,
            bytes.get(ATTRIBUTE_HEADER..length)?,
        );
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some(attribute)
    })
}

/// Appends a request with this body.
pub(super) fn push_request(
    requests: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &[u8],
) {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    requests.extend(length.to_ne_bytes());
    requests.extend(kind.to_ne_bytes());
    requests.extend(flags.to_ne_bytes());
    requests.extend(sequence.to_ne_bytes());
    requests.extend([0; 4]); // to the kernel
    requests.extend_from_slice(body);
}

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_follow_one_another_at_multiples_of_four_bytes() {
        let mut bytes = Vec::new();
        push_request(&mut bytes, 20, REQUEST, 7, &[1, 2, 3, 4]);
        push_request(&mut bytes, ERROR, 0, 8, &[]);
        let found: Vec<_> = messages(&bytes).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].sequence), (20, 7));
        assert_eq!(found[0].body, [1, 2, 3, 4]);
        assert_eq!((found[1].kind, found[1].sequence), (ERROR, 8));
    }

    #[test]
    fn an_attribute_is_padded_and_its_length_is_not() {
        let bytes = [5_u16.to_ne_bytes(), 8_u16.to_ne_bytes()].concat();
        let bytes = [&bytes[..], &[9, 0, 0, 0], &bytes, &[7]].concat();
        let found: Vec<_> = attributes(&bytes).collect();
        assert_eq!(found, [(8, &[9_u8][..]), (8, &[7])]);
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let count = messages(&bytes).map(|message| attributes(message.body).count()).sum::<usize>();
            prop_assert!(count <= bytes.len());
        }
    }
}
