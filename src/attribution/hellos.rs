//! A capture of ClientHellos alone.
//!
//! The kernel compares each packet with a filter, and copies the headers of the few that match. They are there at once, and stay in a
//! small ring until they are taken.

use std::time::Duration;

use pcap::{Active, Capture, Precision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;

use super::Hello;
use crate::capture::LinkType;
use crate::decode::{Decoded, Layers, decode};
use crate::flow::{IpProtocol, endpoint};
use crate::time::Timestamp;

/// Bytes captured of a packet: the longest headers of a link (20), of IPv6 (40) and of TCP (60), with VLAN tags, and the first
/// bytes of a record.
const SNAP_LENGTH: i32 = 160;
/// Bytes of the ring, for some 4000 packets.
const RING: i32 = 1 << 20;

/// A record or a datagram that begins with a ClientHello, of TLS, DTLS and QUIC.
///
/// libpcap's `tcp[…]` stands for IPv4 alone, so the offsets in IPv6 are written out; headers between IPv6 and TCP are not looked
/// behind. A QUIC server's first packet looks like a client's: see [`super::socket_finder`].
const CLIENT_HELLO: &str = "\
    (tcp[(tcp[12] & 0xf0) >> 2] = 0x16 and tcp[((tcp[12] & 0xf0) >> 2) + 1] = 3 and tcp[((tcp[12] & 0xf0) >> 2) + 5] = 1) or \
    (ip6[6] = 6 and ip6[40 + ((ip6[52] & 0xf0) >> 2)] = 0x16 and ip6[41 + ((ip6[52] & 0xf0) >> 2)] = 3 and \
     ip6[45 + ((ip6[52] & 0xf0) >> 2)] = 1) or \
    (udp[8] & 0xf0 = 0xc0 and udp[9:4] = 1) or (udp[8] & 0xf0 = 0xd0 and udp[9:4] = 0x6b3343cf) or \
    (udp[8] = 0x16 and udp[9] = 0xfe and udp[21] = 1) or \
    (ip6[6] = 17 and ((ip6[48] & 0xf0 = 0xc0 and ip6[49:4] = 1) or (ip6[48] & 0xf0 = 0xd0 and ip6[49:4] = 0x6b3343cf) or \
     (ip6[48] = 0x16 and ip6[49] = 0xfe and ip6[61] = 1)))";

/// ClientHellos on some interfaces.
pub(super) struct Hellos {
    rings: Vec<Ring>,
}

struct Ring {
    link_type: LinkType,
    capture: Capture<Active>,
    /// The kernel's counter of drops when it was last read.
    dropped: u32,
}

impl Hellos {
    /// Opens the interfaces; `filter` is the user's.
    pub(super) fn open(interfaces: &[String], filter: Option<&str>) -> Result<Self, String> {
        let filter = match filter.map(str::trim).filter(|filter| !filter.is_empty()) {
            Some(filter) => format!("({filter}) and ({CLIENT_HELLO})"),
            None => CLIENT_HELLO.to_owned(),
        };
        let open = |name: &String| {
            Ring::open(name, &filter)
                .map_err(|reason| format!("cannot capture ClientHellos on `{name}`: {reason}"))
        };
        let rings = interfaces.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { rings })
    }

    /// Waits until there is one, but not for longer than `patience`.
    pub(super) fn wait(&self, patience: Duration) {
        let rings = self.rings.iter();
        let mut waited_for: Vec<_> = rings
            .map(|ring| PollFd::new(&ring.capture, PollFlags::IN))
            .collect();
        let patience = Timespec::try_from(patience).ok();
        let _ = poll(&mut waited_for, patience.as_ref()); // a signal ends it early: so be it
    }

    /// Appends those that are there, some at a time from each interface. An interface that is gone has none any more.
    pub(super) fn take(&mut self, each: usize, hellos: &mut Vec<Hello>) {
        for ring in &mut self.rings {
            let link_type = ring.link_type;
            let _ = ring.capture.dispatch(Some(each), |packet| {
                let header = packet.header;
                let hello = read(link_type, timestamp(header), packet.data, header.len);
                hellos.extend(hello);
            });
        }
    }

    /// Those dropped since the last call, because nobody took them in time.
    pub(super) fn dropped(&mut self) -> u64 {
        let rings = self.rings.iter_mut();
        rings
            .map(|ring| {
                let now = ring.capture.stats().map_or(ring.dropped, |now| now.dropped);
                let new = now.wrapping_sub(ring.dropped);
                ring.dropped = now;
                u64::from(new)
            })
            .sum()
    }
}

impl Ring {
    fn open(name: &str, filter: &str) -> Result<Self, String> {
        let open = || {
            let mut capture = Capture::from_device(name)?
                .snaplen(SNAP_LENGTH)
                .buffer_size(RING)
                .immediate_mode(true)
                .precision(Precision::Nano)
                .open()?
                .setnonblock()?;
            capture.filter(filter, true)?;
            Ok(capture)
        };
        let capture = open().map_err(|error: pcap::Error| error.to_string())?;
        // As for the other capture: libpcap leaves its socket open in programs that this one starts.
        rustix::io::fcntl_setfd(&capture, FdFlags::CLOEXEC).map_err(|error| error.to_string())?;
        let number = u32::try_from(capture.get_datalink().0).unwrap_or(u32::MAX);
        Ok(Self {
            link_type: match number {
                12 => LinkType(101), // raw IP has another number on the wire
                number => LinkType(number),
            },
            capture,
            dropped: 0,
        })
    }
}

/// The connection of a packet. One in a tunnel is not between sockets of this host.
fn read(link_type: LinkType, at: Timestamp, packet: &[u8], wire_length: u32) -> Option<Hello> {
    let mut layers = Layers::default();
    let decoded = decode(link_type, packet, wire_length, &mut layers).ok()?;
    if layers.tunnels.iter().next().is_some() {
        return None;
    }
    let (protocol, source, destination) = match decoded {
        Decoded::Tcp(header) => (
            IpProtocol::Tcp,
            endpoint(header.source, header.source_port),
            endpoint(header.destination, header.destination_port),
        ),
        Decoded::Udp(header) => (
            IpProtocol::Udp,
            endpoint(header.source, header.source_port),
            endpoint(header.destination, header.destination_port),
        ),
        Decoded::Icmp(_) | Decoded::Fragment(_) | Decoded::Other(_) => return None,
    };
    Some(Hello {
        at,
        protocol,
        client: source,
        server: destination,
    })
}

/// libpcap writes nanoseconds where the field's name says microseconds, as was asked for.
fn timestamp(header: &pcap::PacketHeader) -> Timestamp {
    let nanoseconds = Duration::from_nanos(u64::try_from(header.ts.tv_usec).unwrap_or(0));
    Timestamp::from_seconds(header.ts.tv_sec).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;
    use crate::capture::{self, PacketBatch, PacketFilter, PacketRecord};

    const HELLO: &[u8] = &[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    const ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];
    const SERVER_HELLO: &[u8] = &[0x16, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3];

    fn matches(frame: &[u8]) -> bool {
        let mut batch = PacketBatch::default();
        batch.data.extend_from_slice(frame);
        let length = u32::try_from(frame.len()).unwrap();
        batch.packets.push(PacketRecord {
            timestamp: Timestamp::MIN,
            number: 1,
            interface: 0,
            offset: 0,
            captured_length: length,
            wire_length: length,
        });
        batch.interfaces = std::sync::Arc::new([capture::Interface {
            link_type: LinkType::ETHERNET,
            source: "test0".into(),
            name: None,
        }]);
        PacketFilter::compile(CLIENT_HELLO)
            .unwrap()
            .apply(&mut batch)
            == 0
    }

    fn tcp(is_v4: bool, options: bool, payload: &[u8]) -> Vec<u8> {
        let step = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let step = match is_v4 {
            true => step.ipv4([127, 0, 0, 1], [127, 0, 0, 2], 64),
            false => step.ipv6([1; 16], [2; 16], 64),
        };
        let mut step = step.tcp(50_000, 443, 1, 64_000);
        if options {
            let timestamps = etherparse::TcpOptionElement::Timestamp(1, 2);
            step = step.options(&[timestamps]).unwrap();
        }
        let mut frame = Vec::new();
        step.write(&mut frame, payload).unwrap();
        frame
    }

    fn udp(is_v4: bool, payload: &[u8]) -> Vec<u8> {
        let step = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let step = match is_v4 {
            true => step.ipv4([127, 0, 0, 1], [127, 0, 0, 2], 64),
            false => step.ipv6([1; 16], [2; 16], 64),
        };
        let mut frame = Vec::new();
        step.udp(50_000, 443).write(&mut frame, payload).unwrap();
        frame
    }

    #[test]
    fn the_filter_takes_client_hellos_over_either_version_of_ip() {
        for is_v4 in [true, false] {
            for options in [true, false] {
                assert!(matches(&tcp(is_v4, options, HELLO)));
                assert!(!matches(&tcp(is_v4, options, ALERT)));
                assert!(!matches(&tcp(is_v4, options, SERVER_HELLO)));
                assert!(!matches(&tcp(is_v4, options, b"")));
            }
            let quic = [&[0xc3, 0, 0, 0, 1][..], &[8; 40]].concat();
            let short = [&[0x43, 0, 0, 0, 1][..], &[8; 40]].concat();
            let mut dtls = [&[0x16, 0xfe, 0xfd][..], &[0; 40]].concat();
            assert!(!matches(&udp(is_v4, &dtls)));
            dtls[13] = 1;
            assert!(matches(&udp(is_v4, &dtls)));
            assert!(matches(&udp(is_v4, &quic)));
            assert!(!matches(&udp(is_v4, &short)));
        }
    }

    #[test]
    fn a_packet_names_its_connection_even_if_it_is_cut_short() {
        let frame = tcp(true, true, HELLO);
        let hello = read(LinkType::ETHERNET, Timestamp::MIN, &frame[..70], 1500).unwrap();
        assert_eq!(hello.client.to_string(), "127.0.0.1:50000");
        assert_eq!(hello.server.to_string(), "127.0.0.2:443");
        assert_eq!(hello.protocol, IpProtocol::Tcp);
    }
}
