//! Segments to ordered bytes, and flows in their table; `cargo bench --bench transport`.

use std::time::Duration;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use tlscope::decode::SeqNumber;
use tlscope::flow::{FlowKey, IpProtocol};
use tlscope::time::Timestamp;
use tlscope::transport::tcp::{Arrival, Assembler, Budget, Chunk};
use tlscope::transport::{FlowTable, LIFETIMES, Lifetime};

fn main() {
    divan::main();
}

/// Segments of a stream: what a bulk transfer sends in some milliseconds.
const SEGMENTS: u32 = 1_000;
/// Bytes of each.
const LENGTH: u32 = 1_448;

#[divan::bench]
fn in_order(bencher: Bencher<'_, '_>) {
    bench(bencher, &(0..SEGMENTS).collect::<Vec<_>>());
}

#[divan::bench]
fn each_one_twice(bencher: Bencher<'_, '_>) {
    bench(
        bencher,
        &(0..SEGMENTS).flat_map(|n| [n, n]).collect::<Vec<_>>(),
    );
}

#[divan::bench]
fn neighbours_swapped(bencher: Bencher<'_, '_>) {
    bench(bencher, &(0..SEGMENTS).map(|n| n ^ 1).collect::<Vec<_>>());
}

/// The first of sixteen comes last: fifteen are held.
#[divan::bench]
fn first_of_sixteen_last(bencher: Bencher<'_, '_>) {
    let order = |n: u32| n - n % 16 + (n + 1) % 16;
    bench(
        bencher,
        &(0..SEGMENTS - SEGMENTS % 16).map(order).collect::<Vec<_>>(),
    );
}

fn bench(bencher: Bencher<'_, '_>, order: &[u32]) {
    let payload = [0x17; LENGTH as usize];
    let arrival = Arrival::new(Timestamp::default(), 1);
    bencher
        .counter(BytesCount::new(order.len() * LENGTH as usize))
        .bench(|| {
            let mut assembler = Assembler::default();
            let mut budget = Budget::new(1 << 20);
            let mut delivered = 0;
            assembler.start(SeqNumber(0));
            for number in order {
                assembler.push(
                    SeqNumber(number * LENGTH),
                    black_box(&payload),
                    LENGTH,
                    arrival,
                    &mut budget,
                    &mut |chunk| {
                        if let Chunk::Bytes(bytes, _) = chunk {
                            delivered += bytes.len();
                        }
                    },
                );
            }
            assert!(delivered >= order.len() / 2 * LENGTH as usize);
        });
}

/// Packets of flows that are there already, each of another one than the packet before.
#[divan::bench(args = [1_000, 100_000])]
fn find_flows(bencher: Bencher<'_, '_>, flows: usize) {
    let keys: Vec<FlowKey> = (0..flows).map(key).collect();
    let mut table = table(flows);
    for key in &keys {
        table.insert(*key, (), Lifetime::Established, Timestamp::default());
    }
    bencher.counter(ItemsCount::new(flows)).bench_local(|| {
        for key in &keys {
            let flow = table.find(black_box(key)).unwrap();
            table.touch(flow, Lifetime::Established, Timestamp::default());
        }
    });
}

/// A flood: each packet is of a new flow, for which an old one must go.
#[divan::bench]
fn evict_flows(bencher: Bencher<'_, '_>) {
    let keys: Vec<FlowKey> = (0..100_000).map(key).collect();
    bencher
        .counter(ItemsCount::new(keys.len()))
        .with_inputs(|| table(1_000))
        .bench_local_refs(|table| {
            for key in &keys {
                if table.is_full()
                    && let Some(oldest) = table.evict(Timestamp::default())
                {
                    table.remove(oldest);
                }
                table.insert(*black_box(key), (), Lifetime::Opening, Timestamp::default());
            }
        });
}

fn table(capacity: usize) -> FlowTable<()> {
    FlowTable::new(capacity, [Duration::from_secs(10); LIFETIMES])
}

/// The key of the flow with this number.
fn key(number: usize) -> FlowKey {
    let [.., a, b, c] = number.to_be_bytes();
    let mut client = [0; 16];
    client[10..].copy_from_slice(&[0xff, 0xff, 10, a, b, c]);
    let server = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 10];
    FlowKey::new(IpProtocol::Tcp, (client, 50_000), (server, 443)).0
}
