//! Times in which nobody captured: silence is then no evidence.

use std::time::Duration;

use crate::time::Timestamp;

/// How long a capture may be without any packet. After a longer time it is not the hosts that were silent: nobody captured, or
/// several captures were put together. No timer of TCP, QUIC or DTLS waits for so long amid a handshake.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Pauses that are listed: those of a file of two months that was captured an hour each day. What was open in a later one counts as
/// observed until its last packet.
const MAX_PAUSES: usize = 64;

/// The pauses so far, by packets: clocks may be set back in between.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// The last packet before each, and when it began.
    begun: Vec<(u64, Timestamp)>,
    /// The last packet before the latest pause that is not listed.
    unlisted: Option<u64>,
}

impl Pauses {
    /// Notes that no packet came from a moment on, for long; `last` is the number of the last one before.
    pub(super) fn note(&mut self, last: u64, from: Timestamp) {
        if self.begun.len() < MAX_PAUSES {
            self.begun.push((last, from));
        } else {
            self.unlisted = Some(last);
        }
    }

    /// When the first pause began after a packet, which came at a moment.
    pub(super) fn since(&self, (packet, at): (u64, Timestamp)) -> Option<Timestamp> {
        let next = self.begun.partition_point(|(last, _)| *last < packet);
        let listed = self.begun.get(next).map(|(_, from)| *from);
        listed.or_else(|| {
            self.unlisted
                .is_some_and(|last| last >= packet)
                .then_some(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pause_after_a_packet_counts() {
        let at = Timestamp::from_seconds;
        let mut pauses = Pauses::default();
        assert_eq!(pauses.since((1, at(1))), None);
        pauses.note(5, at(10));
        pauses.note(9, at(9_000));
        let since = |packet| pauses.since((packet, at(1)));
        assert_eq!([since(1), since(5)], [Some(at(10)); 2]);
        assert_eq!([since(6), since(9)], [Some(at(9_000)); 2]);
        assert_eq!(since(10), None);
    }

    #[test]
    fn memory_is_bounded_and_pauses_that_are_not_listed_count() {
        let mut pauses = Pauses::default();
        for number in 1..1_000 {
            pauses.note(number, Timestamp::from_seconds(number.cast_signed()));
        }
        assert_eq!(pauses.begun.len(), MAX_PAUSES);
        let at = Timestamp::from_seconds(7);
        assert_eq!(pauses.since((65, at)), Some(at));
        assert_eq!(pauses.since((999, at)), Some(at));
        assert_eq!(pauses.since((1_000, at)), None);
    }
}
