//! Clients over QUIC that have moved to another address or port.

use crate::flow::FlowKey;
use crate::framing::quic;
use crate::transport::quic::ConnectionId;

use super::packet::FirstLook;
use super::{DatagramTable, LONG};

/// Where the packets of a client come from that has moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    /// The flow that its connection began on.
    pub(super) home: FlowKey,
    /// Whether its packets go up on that flow, and on the one that it has moved to.
    pub(super) goes_up_at_home: bool,
    pub(super) goes_up: bool,
}

impl DatagramTable {
    /// Notes the id that the server has chosen for a connection, in place of an earlier one.
    pub(super) fn index(
        &mut self,
        key: FlowKey,
        earlier: Option<ConnectionId>,
        id: Option<ConnectionId>,
    ) {
        if let Some(earlier) = earlier
            && self.by_id.get(&earlier) == Some(&key)
        {
            self.by_id.remove(&earlier);
            self.id_lengths[earlier.len()] -= 1;
        }
        if let Some(id) = id
            && self.by_id.insert(id, key).is_none()
        {
            self.id_lengths[id.len()] += 1;
        }
    }

    /// The id that a datagram goes to, if a server has chosen it.
    pub(super) fn chosen_id(&self, payload: &[u8]) -> Option<ConnectionId> {
        let (first, rest) = payload.split_first()?;
        if first & LONG != 0 {
            return quic::destination(payload).filter(|id| self.by_id.contains_key(id));
        }
        // Of two ids of which one begins with the other, the longer one is no accident.
        let lengths = (0..self.id_lengths.len()).rev();
        let mut ids = lengths
            .filter(|length| self.id_lengths[*length] > 0)
            .filter_map(|length| ConnectionId::new(rest.get(..length)?));
        ids.find(|id| self.by_id.contains_key(id))
    }

    /// The flow on which the client of a datagram was before, if the datagram's own is not known.
    pub(super) fn home_of(
        &mut self,
        (key, goes_up): (FlowKey, bool),
        payload: &[u8],
    ) -> Option<(FlowKey, bool)> {
        if self.moved.is_empty() && self.by_id.is_empty() {
            return None;
        }
        let moved = match self.moved.get(&key).copied() {
            Some(moved) if self.goes_on(&moved, goes_up, payload) => moved,
            Some(_) => return None,
            None => self.find_moved(key, goes_up, payload)?,
        };
        let is_clients = goes_up == moved.goes_up;
        Some((moved.home, is_clients == moved.goes_up_at_home))
    }

    /// Whether a datagram from or to a port that a client has moved to belongs to the handshake that it moved with: that is still open,
    /// and the client begins no other one there.
    fn goes_on(&self, moved: &Moved, goes_up: bool, payload: &[u8]) -> bool {
        let home = self.flows.find(&moved.home);
        let home = home.and_then(|index| self.flows.get(index));
        let is_clients = goes_up == moved.goes_up;
        let begins = is_clients && matches!(FirstLook::at(payload), FirstLook::MayBegin(_));
        let id = quic::destination(payload);
        let has_its_id = || id.and_then(|id| self.by_id.get(&id)) == Some(&moved.home);
        home.is_some_and(|flow| flow.open.is_some()) && (!begins || has_its_id())
    }

    /// Finds the flow whose client goes on from the port of another, by the id that its server has chosen.
    pub(super) fn find_moved(
        &mut self,
        key: FlowKey,
        goes_up: bool,
        payload: &[u8],
    ) -> Option<Moved> {
        let id = self.chosen_id(payload)?;
        let home = *self.by_id.get(&id)?;
        let index = self.flows.find(&home)?;
        let flow = self.flows.get_mut(index)?;
        let goes_up_at_home = flow.client_goes_up()?;
        let (client, server) = home.ends(goes_up_at_home);
        let (sender, receiver) = key.ends(goes_up);
        if receiver != server || sender.address != client.address {
            return None;
        }
        let shared = flow.shared.get_or_insert_default();
        if let Some(earlier) = shared.moved_to.replace(key) {
            self.moved.remove(&earlier);
        }
        self.count_shared(index);
        let moved = Moved {
            home,
            goes_up_at_home,
            goes_up,
        };
        self.moved.insert(key, moved);
        Some(moved)
    }
}
