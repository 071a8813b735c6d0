//! Packets down to their TCP segments; `cargo bench --bench decode`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use etherparse::{IpNumber, PacketBuilder};
use tlscope::capture::LinkType;
use tlscope::decode::{Decoded, FragmentTable, Layers, TunnelPorts, decode};
use tlscope::time::Timestamp;

fn main() {
    divan::main();
}

const ETHERNET: LinkType = LinkType(1);
const RAW_IP: LinkType = LinkType(101);
const SLL2: LinkType = LinkType(276);

/// Payload of a full segment.
const PAYLOAD: [u8; 1_448] = [0x17; 1_448];
const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [192, 0, 2, 10];

#[divan::bench(sample_size = 1_000)]
fn ethernet_ipv4(bencher: Bencher<'_, '_>) {
    bench(bencher, ETHERNET, &ethernet());
}

#[divan::bench]
fn ethernet_vlan_ipv6(bencher: Bencher<'_, '_>) {
    let mut packet = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .single_vlan(12.try_into().unwrap())
        .ipv6([1; 16], [2; 16], 64)
        .tcp(50_000, 443, 1, 64_000)
        .ack(1)
        .write(&mut packet, &PAYLOAD)
        .unwrap();
    bench(bencher, ETHERNET, &packet);
}

#[divan::bench]
fn raw_ipv4(bencher: Bencher<'_, '_>) {
    bench(bencher, RAW_IP, ethernet().split_off(14).as_slice());
}

#[divan::bench]
fn sll2_ipv4(bencher: Bencher<'_, '_>) {
    let mut header = [0; 20];
    header[0] = 8; // the EtherType of IPv4
    let packet = [&header, &ethernet()[14..]].concat();
    bench(bencher, SLL2, &packet);
}

#[divan::bench]
fn not_tcp(bencher: Bencher<'_, '_>) {
    let mut packet = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(CLIENT, SERVER, 64)
        .udp(50_000, 443)
        .write(&mut packet, &PAYLOAD)
        .unwrap();
    bench(bencher, ETHERNET, &packet);
}

/// A segment in two fragments, put together.
#[divan::bench(sample_size = 1_000)]
fn two_fragments(bencher: Bencher<'_, '_>) {
    let whole = ethernet().split_off(14 + 20);
    let fragments: Vec<Vec<u8>> = [(0_usize, 0x2000_u16), (800, 100)]
        .map(|(start, flags_and_offset)| {
            let payload = &whole[start..whole.len().min(start + 800)];
            let mut packet = Vec::new();
            PacketBuilder::ethernet2([2; 6], [4; 6])
                .ipv4(CLIENT, SERVER, 64)
                .write(&mut packet, IpNumber::TCP, payload)
                .unwrap();
            packet[14 + 6..14 + 8].copy_from_slice(&flags_and_offset.to_be_bytes());
            packet
        })
        .into();
    let mut table = FragmentTable::default();
    bencher.counter(ItemsCount::new(2_usize)).bench_local(|| {
        let joined = fragments.iter().find_map(|bytes| {
            let mut layers = Layers::default();
            match decode(ETHERNET, black_box(bytes), bytes.len() as u32, &mut layers) {
                Ok(Decoded::Fragment(fragment)) => table
                    .push(&fragment, bytes, &mut layers, Timestamp::default())
                    .map(|datagram| datagram.decode(&TunnelPorts::DEFAULT, &mut layers).is_ok()),
                _ => None,
            }
        });
        assert_eq!(joined, Some(true));
    });
}

fn ethernet() -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(CLIENT, SERVER, 64)
        .tcp(50_000, 443, 1, 64_000)
        .ack(1)
        .write(&mut packet, &PAYLOAD)
        .unwrap();
    packet
}

fn bench(bencher: Bencher<'_, '_>, link_type: LinkType, packet: &[u8]) {
    bencher.counter(ItemsCount::new(1_usize)).bench(|| {
        let length = packet.len() as u32;
        decode(link_type, black_box(packet), length, &mut Layers::default()).is_ok()
    });
}
