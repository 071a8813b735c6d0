//! The addresses of this host: only their sockets can be looked up.
//!
//! Without this check, a server on this host that listens on all addresses would answer for every server elsewhere whose packets
//! pass by.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::netlink::{self, DUMP, Message, NetlinkSocket, REQUEST};

/// `RTM_NEWADDR` and `RTM_GETADDR` (rtnetlink(7)).
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
/// Bytes of `struct ifaddrmsg`.
const ADDRESS_MESSAGE: usize = 8;
/// `IFA_ADDRESS`, which is the peer's on point-to-point links, and `IFA_LOCAL`.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// Addresses kept; a host with more of them is a router, and gets answers for some.
const MAX_ADDRESSES: usize = 4096;
/// Parts of an answer that are read at most, of up to 32 KiB.
const MAX_PARTS: usize = 64;

/// The addresses as last asked for.
#[derive(Debug)]
pub(super) struct LocalAddresses {
    socket: NetlinkSocket,
    known: HashSet<IpAddr>,
}

impl LocalAddresses {
    pub(super) fn open() -> io::Result<Self> {
        let mut addresses = Self {
            socket: NetlinkSocket::routing()?,
            known: HashSet::new(),
        };
        addresses.refresh()?;
        Ok(addresses)
    }

    /// Asks the kernel again.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let mut request = Vec::new();
        netlink::push_request(
            &mut request,
            GET_ADDRESS,
            REQUEST | DUMP,
            1,
            &[0; ADDRESS_MESSAGE],
        );
        self.socket.send(&request)?;
        let mut known = HashSet::new();
        for _ in 0..MAX_PARTS {
            // A dump continues with each read.
            let Ok(bytes) = self.socket.receive() else {
                break;
            };
            let mut is_last = false;
            for message in netlink::messages(bytes) {
                is_last |= matches!(message.kind, netlink::DONE | netlink::ERROR);
                if known.len() < MAX_ADDRESSES {
                    known.extend(address(&message));
                }
            }
            if is_last {
                break;
            }
        }
        self.known = known;
        Ok(())
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.known.contains(&address)
    }
}

/// The address in an answer.
fn address(message: &Message<'_>) -> Option<IpAddr> {
    let attributes = message.body.get(ADDRESS_MESSAGE..)?;
    if message.kind != NEW_ADDRESS {
        return None;
    }
    let value = |wanted| {
        netlink::attributes(attributes).find_map(|(kind, value)| (kind == wanted).then_some(value))
    };
    let bytes = value(LOCAL).or_else(|| value(ADDRESS))?;
    match bytes.len() {
        4 => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        16 => Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_lists_the_loopback_address() {
        let addresses = LocalAddresses::open().unwrap();
        assert!(addresses.known.contains(&Ipv4Addr::LOCALHOST.into()));
        assert!(addresses.contain(Ipv4Addr::new(127, 1, 2, 3).into()));
        assert!(!addresses.contain(Ipv4Addr::new(192, 0, 2, 1).into()));
    }

    #[test]
    fn the_local_address_of_a_point_to_point_link_is_ours_and_the_other_is_not() {
        let attribute = |kind: u16, value: [u8; 4]| {
            [&8_u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &value].concat()
        };
        let body = [
            vec![0; ADDRESS_MESSAGE],
            attribute(ADDRESS, [192, 0, 2, 1]),
            attribute(LOCAL, [192, 0, 2, 2]),
        ]
        .concat();
        let message = |kind| Message {
            kind,
            sequence: 1,
            body: &body,
        };
        assert_eq!(
            address(&message(NEW_ADDRESS)),
            Some(Ipv4Addr::new(192, 0, 2, 2).into())
        );
        assert_eq!(address(&message(GET_ADDRESS)), None);
    }
}
