//! How the sides closed, and closes that the peers contradict.

use crate::flow::Direction;
use crate::framing::Close;
use crate::time::Timestamp;
use crate::transport::tcp::{Arrival, had_received};

use super::super::Transcript;
use super::super::parts::{Observed, PeerClose};

impl Transcript {
    pub(super) fn take_close(&mut self, sender: Direction, how: Close, at: Arrival) {
        self.note_ignored_close(sender, at);
        if let (Close::Fin, PeerClose::Fin(fin)) = (how, self.peers[sender].closing)
            && at.end.wrapping_sub(fin.end).cast_signed() > 0
            && self.delivery[sender].is_data_beyond(fin.end)
        {
            self.take_back_close(sender, Observed::Fin); // behind more data: a stream has one end, so the other FIN was not its own
        }
        let is_first = !self.has_closed(sender);
        let sent = Direction::BOTH.map(|direction| self.delivery[direction].last_data);
        let is_before = |sent: &Timestamp| *sent <= at.time;
        let before = sent.into_iter().flatten().filter(is_before).max();
        self.data_before_close = self.data_before_close.or(before);
        let peer = &mut self.peers[sender];
        peer.closing = peer.closing.and(how, at);
        if is_first {
            let observed = match how {
                Close::Fin => Observed::Fin,
                Close::Rst => Observed::Rst,
            };
            self.observe(sender, observed, at);
        }
    }

    /// Takes back a close that both sides ignored: what `sender` does now acknowledges what its peer sent after it.
    pub(super) fn note_ignored_close(&mut self, sender: Direction, at: Arrival) {
        self.refute_close(sender.flip(), at.acknowledged);
    }

    /// The same for acknowledgments that came alone: to be called once no more segments will come. Only if the sender went on after the
    /// close: a host may reset with a number that it has passed, while its peer has yet to acknowledge the rest.
    pub(in crate::handshake) fn note_ignored_closes(&mut self) {
        for direction in Direction::BOTH {
            let delivery = &self.delivery[direction];
            let closing = self.peers[direction].closing.first();
            let goes_on = |(_, at): (Close, Arrival)| {
                delivery.last_data >= Some(at.time) || delivery.has_gone_on()
            };
            if closing.is_some_and(goes_on) {
                self.refute_close(direction, delivery.acknowledged);
            }
            self.refute_reset(direction);
        }
    }

    /// Takes back the close of a direction if its receiver has acknowledged what came after a reset, or in the place of a FIN and behind
    /// it. Then another host sent it, and it closed nothing.
    fn refute_close(&mut self, direction: Direction, acknowledged: Option<u32>) {
        let (closed, how) = match self.peers[direction].closing {
            PeerClose::Rst(reset) => (reset, Observed::Rst),
            // The data shows that this is no mere number too high.
            PeerClose::Fin(fin) if self.delivery[direction].is_data_beyond(fin.end) => {
                (fin, Observed::Fin)
            }
            _ => return,
        };
        if had_received(acknowledged, closed.end.wrapping_add(1)) == Some(true) {
            self.take_back_close(direction, how);
        }
    }

    /// Takes back a reset after which both sides sent more, unless its peer reset the connection, too: then that may have believed it, and
    /// answers what still comes. That its sender seems to go on does not suffice: anybody can send more in the name of a side that has gone.
    fn refute_reset(&mut self, direction: Direction) {
        let PeerClose::Rst(reset) = self.peers[direction].closing else {
            return;
        };
        let peer = direction.flip();
        let is_believed = self.peers[peer].closing.has_reset();
        let goes_on = self.delivery[peer].last_data >= Some(reset.time);
        if !is_believed && goes_on && self.delivery[direction].has_sent_after_reset() {
            self.take_back_close(direction, Observed::Rst);
        }
    }

    /// Takes back that `direction` was closed in order.
    pub(in crate::handshake) fn take_back_fin(&mut self, direction: Direction) {
        if let PeerClose::Fin(_) = self.peers[direction].closing {
            self.take_back_close(direction, Observed::Fin);
        }
    }

    fn take_back_close(&mut self, direction: Direction, how: Observed) {
        if self.peers[direction].closing.has_reset() {
            self.delivery[direction].forget_reset();
        }
        self.peers[direction].closing = PeerClose::Open;
        self.data_before_close = None;
        let side = self.side(direction);
        self.observations
            .retain(|seen| seen.side != side || seen.what != how);
    }
}
