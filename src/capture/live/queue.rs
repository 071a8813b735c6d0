//! The way of batches: filled ones one way, empty ones back.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::capture::{PacketBatch, PacketRecord};
use crate::time::Timestamp;

/// Packets in a batch: enough that handing it over costs nothing by the packet.
pub(super) const BATCH_PACKETS: usize = 512;
/// Bytes at which a batch is full.
pub(super) const BATCH_BYTES: usize = 256 << 10;

/// Batches under way that take about so many bytes. With 32 MiB they are 65,536 packets, a tenth of a second at 600,000 packets a
/// second.
pub(super) const fn batches(bytes: usize) -> usize {
    let batches = bytes / BATCH_BYTES;
    if batches < LEAST_BATCHES {
        LEAST_BATCHES
    } else {
        batches
    }
}

/// With fewer, a capture thread would find no room while a worker is interrupted.
const LEAST_BATCHES: usize = 8;

/// What a capture thread holds of the queue.
#[derive(Clone, Debug)]
pub(super) struct BatchSender {
    filled: Sender<PacketBatch>,
    spares: Receiver<PacketBatch>,
}

/// What the taker of batches holds of the queue.
#[derive(Debug)]
pub(super) struct BatchReceiver {
    pub(super) filled: Receiver<PacketBatch>,
    spares: Sender<PacketBatch>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Queued,
    /// There was no room, and it has room for more packets: it is offered again.
    Kept,
    /// There was no room.
    Dropped,
    /// Nobody takes batches any more.
    Unwanted,
}

/// A queue that is empty.
pub(super) fn queue(length: usize) -> (BatchSender, BatchReceiver) {
    let (filled_sender, filled) = bounded(length);
    let (spare_sender, spares) = bounded(length);
    let sender = BatchSender {
        filled: filled_sender,
        spares,
    };
    let receiver = BatchReceiver {
        filled,
        spares: spare_sender,
    };
    (sender, receiver)
}

impl BatchSender {
    /// Hands `batch` over if there is room, and leaves an empty one; never waits. Without room, its packets are dropped if it `must_go`.
    pub(super) fn offer(&self, batch: &mut PacketBatch, must_go: bool) -> Fate {
        let (fate, mut next) = match self.filled.try_send(std::mem::take(batch)) {
            Ok(()) => (Fate::Queued, self.spares.try_recv().unwrap_or_default()),
            Err(TrySendError::Full(full)) if !must_go => {
                *batch = full;
                return Fate::Kept;
            }
            Err(TrySendError::Full(batch)) => (Fate::Dropped, batch),
            Err(TrySendError::Disconnected(batch)) => (Fate::Unwanted, batch),
        };
        empty(&mut next);
        *batch = next;
        fate
    }
}

impl BatchReceiver {
    /// Gives a batch back to be filled again.
    pub(super) fn give_back(&self, batch: PacketBatch) {
        let _ = self.spares.try_send(batch); // enough are there already
    }
}

/// Empties a batch. Its buffers get the size of a full one, and stay with the queue: if they grew by doubling, all together would take
/// twice what is planned for the queue.
fn empty(batch: &mut PacketBatch) {
    batch.clear();
    batch.data.clear();
    batch.data.shrink_to(BATCH_BYTES); // a burst of large packets made it grow
    batch.data.reserve_exact(BATCH_BYTES);
    batch.packets.reserve_exact(BATCH_PACKETS);
}

/// Appends a packet with its bytes, without a number and an interface.
pub(super) fn push(batch: &mut PacketBatch, timestamp: Timestamp, wire_length: u32, bytes: &[u8]) {
    let (Ok(offset), Ok(captured_length)) =
        (u32::try_from(batch.data.len()), u32::try_from(bytes.len()))
    else {
        return; // cannot be: a batch is far smaller than 4 GiB
    };
    batch.data.extend_from_slice(bytes);
    batch.packets.push(PacketRecord {
        timestamp,
        number: 0,
        interface: 0,
        offset,
        captured_length,
        wire_length,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(batch: &mut PacketBatch, bytes: usize) {
        for _ in 0..bytes / 1_000 {
            push(batch, Timestamp::default(), 1_000, &[7; 1_000]);
        }
    }

    #[test]
    fn buffers_are_no_larger_than_a_full_batch() {
        let (sender, receiver) = queue(2);
        let mut batch = PacketBatch::default();
        for round in 1..10 {
            // Each third batch has more than it should, as with packets larger than all before.
            fill(
                &mut batch,
                BATCH_BYTES * if round % 3 == 0 { 2 } else { 1 } - 1_000,
            );
            assert_eq!(sender.offer(&mut batch, true), Fate::Queued);
            let size = (batch.data.capacity(), batch.packets.is_empty());
            assert_eq!(size, (BATCH_BYTES, true));
            receiver.give_back(receiver.filled.recv().unwrap());
        }
    }

    #[test]
    fn a_batch_waits_for_room_until_it_is_full() {
        let (sender, receiver) = queue(1);
        let mut batch = PacketBatch::default();
        fill(&mut batch, 3_000);
        assert_eq!(sender.offer(&mut batch, false), Fate::Queued);
        fill(&mut batch, 2_000);
        assert_eq!(sender.offer(&mut batch, false), Fate::Kept);
        fill(&mut batch, 2_000);
        receiver.filled.recv().unwrap();
        assert_eq!(sender.offer(&mut batch, false), Fate::Queued);
        assert_eq!(receiver.filled.len(), 1);
        fill(&mut batch, 1_000);
        assert_eq!(sender.offer(&mut batch, true), Fate::Dropped);
        assert!(batch.packets.is_empty());
        assert_eq!(receiver.filled.recv().unwrap().packets.len(), 4);
    }
}
