//! Several sockets that share the packets of an interface, each for a thread of its own.
//!
//! On Linux the kernel spreads them (`PACKET_FANOUT`, packet(7)): by a hash of addresses and ports that is the same in both
//! directions, so that a connection stays on one thread, and the connections of two hosts do not. Fragments go by their addresses
//! alone. Elsewhere each socket has a filter for its share of the pairs of hosts.

#[cfg(not(target_os = "linux"))]
pub(super) use by_filter::Share;
#[cfg(target_os = "linux")]
pub(super) use by_group::Share;

#[cfg(target_os = "linux")]
mod by_group {
    use std::io;
    use std::os::fd::AsFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};

    use nix::libc;
    use nix::sys::socket::{getsockopt, setsockopt};
    use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl}; // the last one expands to the other two

    sockopt_impl!(
        /// The group of a socket: its number, from bit 16 on how packets are spread, and from bit 24 on flags.
        PacketFanout,
        Both,
        libc::SOL_PACKET,
        libc::PACKET_FANOUT,
        libc::c_int
    );

    /// Spreads packets by a hash of their flows.
    const BY_FLOW: libc::c_int = (libc::PACKET_FANOUT_HASH as libc::c_int) << 16;
    /// Has the kernel choose a number that no other program uses: since Linux 4.12.
    const UNIQUE: libc::c_int = (libc::PACKET_FANOUT_FLAG_UNIQUEID as libc::c_int) << 24;
    /// The number of a group.
    const NUMBER: libc::c_int = 0xffff;
    /// There is no group so far.
    const NONE: libc::c_int = -1;

    /// What one of the sockets of an interface gets.
    #[derive(Debug)]
    pub(in super::super) struct Share {
        /// The number of the sockets' group; `None` if there is only one socket.
        group: Option<Arc<AtomicI32>>,
    }

    impl Share {
        /// The shares of so many sockets.
        pub(in super::super) fn among(sockets: u32) -> Vec<Self> {
            let group = (sockets > 1).then(|| Arc::new(AtomicI32::new(NONE)));
            let share = |_| Self {
                group: group.clone(),
            };
            (0..sockets.max(1)).map(share).collect()
        }

        /// The filter of the socket, where `filter` is that of the interface.
        pub(in super::super) fn filter(&self, filter: Option<&str>) -> Option<String> {
            filter.map(str::to_owned)
        }

        /// Leaves the rest to the other sockets from now on; true if the socket had all packets before.
        ///
        /// # Errors
        ///
        /// What the kernel says if it refuses.
        pub(in super::super) fn join(&self, socket: &impl AsFd) -> io::Result<bool> {
            let Some(group) = &self.group else {
                return Ok(false);
            };
            match group.load(Ordering::Relaxed) {
                NONE => {
                    setsockopt(socket, PacketFanout, &(BY_FLOW | UNIQUE))?;
                    let number = getsockopt(socket, PacketFanout)? & NUMBER;
                    group.store(number, Ordering::Relaxed); // sockets are opened in turn
                }
                number => setsockopt(socket, PacketFanout, &(BY_FLOW | number))?,
            }
            Ok(true)
        }
    }
}

#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "for other systems"))]
mod by_filter {
    use std::io;

    /// What one of the sockets of an interface gets.
    #[derive(Debug)]
    pub(in super::super) struct Share {
        index: u32,
        sockets: u32,
    }

    impl Share {
        /// The shares of so many sockets.
        pub(in super::super) fn among(sockets: u32) -> Vec<Self> {
            let share = |index| Self { index, sockets };
            (0..sockets.max(1)).map(share).collect()
        }

        /// The filter of the socket, where `filter` is that of the interface. Packets of neither IPv4 nor IPv6 are the first
        /// socket's.
        pub(in super::super) fn filter(&self, filter: Option<&str>) -> Option<String> {
            let Self { index, sockets } = *self;
            if sockets <= 1 {
                return filter.map(str::to_owned);
            }
            let mut share = format!(
                "(ip and (ip[12:4] + ip[16:4]) % {sockets} = {index}) or \
                 (ip6 and (ip6[20:4] + ip6[36:4]) % {sockets} = {index})"
            );
            if index == 0 {
                share += " or (not ip and not ip6)";
            }
            Some(match filter {
                Some(filter) if !filter.trim().is_empty() => format!("({filter}) and ({share})"),
                _ => share,
            })
        }

        /// Does nothing: the filter has divided the packets.
        ///
        /// # Errors
        ///
        /// None.
        pub(in super::super) fn join<S>(&self, _socket: &S) -> io::Result<bool> {
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::queue::push;
    use super::by_filter::Share;
    use crate::capture::{Interface, LinkType, PacketBatch, PacketFilter};
    use crate::time::Timestamp;

    /// Which of three sockets get a packet between two hosts, by the last byte of their addresses.
    fn takers(filter: Option<&str>, from: u8, to: u8) -> Vec<usize> {
        let ip = [
            0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, from, 10, 0, 0, to,
        ];
        let frame = [&[0; 12][..], &[0x08, 0x00], &ip, &[0; 20]].concat();
        let takes = |share: &Share| {
            let expression = share.filter(filter).unwrap();
            let mut filter = PacketFilter::compile(&expression).unwrap();
            let mut batch = PacketBatch::default();
            push(&mut batch, Timestamp::MIN, 54, &frame);
            batch.interfaces = Arc::new([Interface {
                link_type: LinkType(1),
                source: "test0".into(),
                name: None,
            }]);
            filter.apply(&mut batch) == 0
        };
        let shares = Share::among(3);
        let takers = shares.iter().enumerate().filter(|(_, share)| takes(share));
        takers.map(|(index, _)| index).collect()
    }

    #[test]
    fn each_pair_of_hosts_has_one_filter_in_both_directions() {
        for to in 2..12 {
            let there = takers(None, 1, to);
            assert_eq!(there.len(), 1);
            assert_eq!(there, takers(None, to, 1));
        }
        assert_ne!(takers(None, 1, 2), takers(None, 1, 3));
    }

    #[test]
    fn filters_share_what_the_filter_of_the_interface_lets_through() {
        assert_eq!(takers(Some("tcp"), 1, 2).len(), 1);
        assert!(takers(Some("udp or icmp"), 1, 2).is_empty());
        let alone = &Share::among(1)[0];
        assert_eq!(alone.filter(Some("tcp")).as_deref(), Some("tcp"));
        assert_eq!(alone.filter(None), None);
    }
}
