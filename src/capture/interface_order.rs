//! Puts packets of several interfaces in order of time.
//!
//! Programs that capture on several interfaces write what each of them has in batches: those of one interface
//! come some milliseconds too late. Packets of one interface keep their order.

use std::time::Duration;

use super::PacketRecord;
use crate::time::Timestamp;

/// How far a packet may move in time: kernels hand out packets in batches of up to a second. If time steps back by more,
/// the clock was set, or two captures were concatenated.
const WINDOW: Duration = Duration::from_secs(1);

/// Orders `packets` by time where interfaces take turns; each interface keeps its order.
pub(super) fn order_interfaces(packets: &mut [PacketRecord]) {
    let is_early = |pair: &[PacketRecord]| match pair {
        [before, after] => {
            after.timestamp < before.timestamp && after.interface != before.interface
        }
        _ => false,
    };
    if !packets.windows(2).any(is_early) {
        return;
    }
    let mut keyed: Vec<_> = packets
        .iter()
        .map(|packet| (0, packet.timestamp, *packet))
        .collect();
    let mut newest_of: Vec<(u32, Timestamp)> = Vec::new();
    let mut newest = Timestamp::MIN;
    let mut stretch = 0;
    for (number, key, packet) in &mut keyed {
        let has_stepped_back = newest
            .checked_since(packet.timestamp)
            .is_some_and(|behind| behind > WINDOW);
        if has_stepped_back {
            stretch += 1;
            newest_of.clear();
            newest = packet.timestamp;
        }
        newest = newest.max(packet.timestamp);
        *number = stretch;
        // Within an interface, time does not go back.
        match newest_of
            .iter_mut()
            .find(|(interface, _)| *interface == packet.interface)
        {
            Some((_, newest)) => *newest = (*newest).max(packet.timestamp),
            None => newest_of.push((packet.interface, packet.timestamp)),
        }
        let own = newest_of
            .iter()
            .find(|(interface, _)| *interface == packet.interface);
        *key = own.map_or(packet.timestamp, |(_, newest)| *newest);
    }
    keyed.sort_by_key(|(stretch, time, _)| (*stretch, *time)); // stable
    for (packet, (_, _, ordered)) in packets.iter_mut().zip(keyed) {
        *packet = ordered;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(number: u64, interface: u32, milliseconds: i64) -> PacketRecord {
        PacketRecord {
            timestamp: Timestamp::from_nanoseconds(milliseconds * 1_000_000),
            number,
            interface,
            offset: 0,
            captured_length: 0,
            wire_length: 0,
        }
    }

    /// The numbers of packets in order, of `(interface, milliseconds)`.
    fn ordered(packets: &[(u32, i64)]) -> Vec<u64> {
        let numbered = packets.iter().zip(1..);
        let mut packets: Vec<_> = numbered
            .map(|((interface, time), number)| packet(number, *interface, *time))
            .collect();
        order_interfaces(&mut packets);
        packets.iter().map(|packet| packet.number).collect()
    }

    #[test]
    fn batches_of_two_interfaces_are_merged_by_time() {
        let batches = [(0, 0), (0, 4), (0, 8), (1, 1), (1, 5), (0, 12), (1, 11)];
        assert_eq!(ordered(&batches), [1, 4, 2, 5, 3, 7, 6]);
    }

    #[test]
    fn an_interface_keeps_its_order_even_if_its_clock_steps_back() {
        assert_eq!(ordered(&[(0, 10), (0, 5), (0, 11)]), [1, 2, 3]);
        assert_eq!(ordered(&[(0, 10), (0, 5), (1, 4), (0, 11)]), [3, 1, 2, 4]);
    }

    #[test]
    fn packets_do_not_move_further_than_the_window() {
        assert_eq!(ordered(&[(0, 1_000), (1, 0)]), [2, 1]);
        assert_eq!(ordered(&[(0, 1_001), (1, 0)]), [1, 2]);
    }

    proptest! {
        #[test]
        fn each_interface_keeps_its_order_and_nothing_is_lost(
            packets in proptest::collection::vec((0u32..3, 0i64..3_000), 0..60),
        ) {
            let order = ordered(&packets);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (1..=packets.len() as u64).collect::<Vec<_>>());
            for interface in 0..3 {
                let own: Vec<_> = order
                    .iter()
                    .filter(|number| packets[**number as usize - 1].0 == interface)
                    .collect();
                prop_assert!(own.is_sorted());
            }
        }

        /// The model: interfaces whose own clocks go forward are merged as sorted lists are.
        #[test]
        fn interfaces_in_batches_come_out_sorted(
            times in proptest::collection::vec((0u32..3, 0i64..500), 0..60),
            batch in 1usize..20,
        ) {
            let mut sorted = times;
            sorted.sort_by_key(|(_, time)| *time);
            let mut batched: Vec<_> = sorted.chunks(batch).flat_map(|chunk| {
                let mut chunk = chunk.to_vec();
                chunk.sort_by_key(|(interface, _)| *interface);
                chunk
            }).collect();
            let order = ordered(&batched);
            batched = order.iter().map(|number| batched[*number as usize - 1]).collect();
            prop_assert!(batched.is_sorted_by_key(|(_, time)| *time));
        }
    }
}
