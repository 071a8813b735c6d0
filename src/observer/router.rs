//! Packets to steps, each for the worker that has the packet's flow; and the clock that packets set.
//!
//! A packet is decoded here, once. Its flat header travels with the step, so that
//! workers never look at link layers, VLAN tags, tunnels or fragments.

use std::time::Duration;

use crate::capture::{LinkType, PacketRecord, Packets, SourceNews};
use crate::decode::eapol::is_eapol;
use crate::decode::{
    Address, DecodeError, Decoded, FragmentTable, IcmpError, IpDatagram, Layers, TcpHeader,
    TunnelPorts, UdpHeader, Unread, UnreadPackets, UsualDatagram, UsualPacket, UsualReader,
    UsualSegment, decode_any, usual_frame,
};
use crate::event::Protocol;
use crate::flow::FlowKey;
use crate::stats::Stats;
use crate::time::{Ticks, Timestamp};
use crate::transport::radius::RadiusPacket;

use super::datagrams::{FirstLook, Glance};
use super::quic_flows::{QuicFlows, flow_from};
use super::{Config, SHARDS};

/// What workers have to do, in order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// For each worker, its steps.
    steps: Vec<Vec<WorkerStep>>,
    /// The headers of TCP segments and of UDP datagrams, for the steps that refer to them: apart, so that a step is small.
    segments: Vec<TcpHeader>,
    datagrams: Vec<UdpHeader>,
    /// The ICMP errors about datagrams, in the same way.
    icmp_errors: Vec<IcmpError>,
    /// What some steps have in addition to the packet.
    extras: Vec<Extra>,
    /// How many steps were planned, those for all workers counted once.
    planned: u32,
}

/// One thing that a worker has to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerStep {
    /// Orders the events of different workers: steps of the same number happen at the same time.
    pub(crate) number: u32,
    pub(crate) action: Action,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// Handle the TCP segment of a packet of the usual kind, as nearly all are.
    UsualSegment {
        /// Index of the packet in its batch.
        packet: u32,
        /// All that its headers say.
        segment: UsualSegment,
    },
    /// Handle the TCP segment in a packet.
    Segment {
        /// Index of the packet in its batch.
        packet: u32,
        /// Index into the plan's headers of segments.
        header: u32,
        /// Index into the plan's extras; [`NO_EXTRA`] for most packets.
        extra: u32,
    },
    /// Handle the UDP datagram in a packet.
    Datagram {
        /// Index of the packet in its batch.
        packet: u32,
        /// Index into the plan's headers of datagrams.
        header: u32,
        /// Index into the plan's extras; [`NO_EXTRA`] for most packets.
        extra: u32,
    },
    /// Handle the ICMP error about a UDP datagram in a packet.
    IcmpError {
        /// Index of the packet in its batch.
        packet: u32,
        /// Index into the plan's ICMP errors.
        error: u32,
    },
    /// Handle the EAPOL frame in a packet.
    Eapol {
        /// Index of the packet in its batch.
        packet: u32,
        /// Index into the plan's extras; [`NO_EXTRA`] for most packets.
        extra: u32,
    },
    /// Time goes on.
    Tick(Timestamp),
}

const NO_EXTRA: u32 = u32::MAX;

/// What only some packets have: layers around them, or fragments that they completed.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) layers: Layers,
    /// The datagram that holds the segment, if it came in fragments.
    pub(crate) datagram: Option<IpDatagram>,
}

impl Plan {
    /// A plan for `workers`.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            steps: (0..workers.max(1)).map(|_| Vec::new()).collect(),
            ..Self::default()
        }
    }

    /// Empties the plan and keeps its buffers.
    pub(crate) fn clear(&mut self) {
        self.steps.iter_mut().for_each(Vec::clear);
        self.segments.clear();
        self.datagrams.clear();
        self.icmp_errors.clear();
        self.extras.clear();
        self.planned = 0;
    }

    /// The steps of a worker, in order.
    pub(crate) fn steps(&self, worker: usize) -> &[WorkerStep] {
        self.steps.get(worker).map_or(&[], Vec::as_slice)
    }

    /// The header of a segment.
    pub(crate) fn segment_header(&self, index: u32) -> Option<&TcpHeader> {
        self.segments.get(index as usize)
    }

    /// The header of a datagram.
    pub(crate) fn datagram_header(&self, index: u32) -> Option<&UdpHeader> {
        self.datagrams.get(index as usize)
    }

    /// An ICMP error.
    pub(crate) fn icmp_error(&self, index: u32) -> Option<&IcmpError> {
        self.icmp_errors.get(index as usize)
    }

    pub(crate) fn extra(&self, index: u32) -> Option<&Extra> {
        self.extras.get(index as usize)
    }

    /// Plans a tick for all workers.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        let step = WorkerStep {
            number: self.planned,
            action: Action::Tick(now),
        };
        for steps in &mut self.steps {
            steps.push(step);
        }
        self.planned += 1;
    }

    /// Plans the segment of a packet of the usual kind.
    #[inline(always)]
    fn usual_segment(&mut self, packet: u32, segment: UsualSegment) {
        let worker = self.worker_of(&segment.key);
        self.add(worker, Action::UsualSegment { packet, segment });
    }

    #[inline]
    fn worker_of(&self, key: &FlowKey) -> usize {
        match self.steps.len() {
            1 => 0,
            workers => shard_of(key) % workers,
        }
    }

    fn segment(&mut self, packet: u32, header: &TcpHeader, extra: u32) {
        let worker = self.worker_of(&header.flow_key().0);
        let action = Action::Segment {
            packet,
            header: self.segments.len() as u32, // no more than packets
            extra,
        };
        self.segments.push(*header);
        self.add(worker, action);
    }

    fn datagram(&mut self, packet: u32, header: UdpHeader, extra: u32) {
        let worker = self.worker_of(&header.flow_key().0);
        let action = Action::Datagram {
            packet,
            header: self.datagrams.len() as u32, // no more than packets
            extra,
        };
        self.datagrams.push(header);
        self.add(worker, action);
    }

    /// An error goes to the worker that has the flow of its datagram.
    fn plan_icmp_error(&mut self, packet: u32, error: IcmpError) {
        let worker = self.worker_of(&error.flow_key().0);
        let action = Action::IcmpError {
            packet,
            error: self.icmp_errors.len() as u32, // no more than packets
        };
        self.icmp_errors.push(error);
        self.add(worker, action);
    }

    /// Frames without IP are few, and belong to the first shard.
    fn eapol(&mut self, packet: u32, extra: u32) {
        self.add(0, Action::Eapol { packet, extra });
    }

    #[inline(always)]
    fn add(&mut self, worker: usize, action: Action) {
        let number = self.planned;
        if let Some(steps) = self.steps.get_mut(worker) {
            steps.push(WorkerStep { number, action });
        }
        self.planned += 1;
    }

    /// Adds the layers around a packet, if there are any.
    fn add_layers(&mut self, layers: Layers) -> u32 {
        if layers.is_empty() {
            NO_EXTRA
        } else {
            self.add_extra(layers, None)
        }
    }

    /// Adds what a step has in addition to its packet; packets with the same layers share it.
    fn add_extra(&mut self, layers: Layers, datagram: Option<IpDatagram>) -> u32 {
        let is_same = |last: &Extra| last.datagram.is_none() && last.layers == layers;
        if datagram.is_some() || !self.extras.last().is_some_and(is_same) {
            self.extras.push(Extra { layers, datagram });
        }
        self.extras.len() as u32 - 1
    }
}

/// Decodes packets, reassembles fragments, keeps the clock.
#[derive(Debug)]
pub(crate) struct Router {
    tunnel_ports: TunnelPorts,
    fragments: FragmentTable,
    ticks: Ticks,
    quic: QuicFlows,
    unread: UnreadPackets,
    stats: Stats,
}

/// How far packet time advances between two looks for flows that have timed out.
const TICK: Duration = Duration::from_secs(1);
/// A packet that is older than the newest by more than this sets the clock back: captures get concatenated.
const MAX_DISORDER: Duration = Duration::from_secs(60);

impl Router {
    /// A router for a run as `config` says.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            tunnel_ports: config.tunnel_ports.clone(),
            fragments: FragmentTable::within(config.memory_limit.of_fragments()),
            ticks: Ticks::new(TICK, MAX_DISORDER),
            quic: QuicFlows::default(),
            unread: UnreadPackets::default(),
            stats: Stats::default(),
        }
    }

    /// Plans what is to be done with some packets; `now` is the time if the source is live.
    pub(crate) fn plan(&mut self, packets: Packets<'_>, now: Option<Timestamp>, plan: &mut Plan) {
        let (mut skipped, mut length, mut truncated) = (0, 0, 0);
        for (packet, index) in packets.records.iter().zip(0..) {
            if let Some(now) = self.ticks.advance(packet.timestamp) {
                plan.tick(now);
            }
            if let Some(interface) = packets.interfaces.get(packet.interface as usize) {
                let bytes = packets.bytes(packet);
                length += bytes.len() as u64;
                truncated += u64::from(packet.captured_length < packet.wire_length);
                self.route(interface.link_type, packet, bytes, index, plan);
            } else {
                skipped += 1;
            }
        }
        self.stats.packets += packets.records.len() as u64 - skipped;
        self.stats.bytes += length;
        self.stats.packets_truncated += truncated;
        // While the wire is quiet, only the source knows that time goes on.
        let quiet_time = now.filter(|_| packets.records.is_empty());
        if let Some(now) = quiet_time.and_then(|now| self.ticks.advance(now)) {
            plan.tick(now);
        }
    }

    /// Counts the packets that were dropped while a capture was made, as it says itself: it may say anything.
    pub(crate) fn count_drops(&mut self, news: &SourceNews<'_>) {
        for drops in news.drops {
            let dropped = &mut self.stats.packets_dropped;
            *dropped = dropped.saturating_add(drops.packets);
        }
    }

    /// Decodes a packet, and plans a step if it has a TCP segment, or a datagram that may be part of a handshake.
    #[inline(always)]
    fn route(
        &mut self,
        link_type: LinkType,
        packet: &PacketRecord,
        bytes: &[u8],
        index: u32,
        plan: &mut Plan,
    ) {
        let frame = usual_frame(link_type, bytes, packet.wire_length);
        let usual = RouteUsual {
            router: self,
            bytes,
            index,
            plan,
        };
        if frame.and_then(|frame| frame.read(usual)).is_none() {
            self.route_other(link_type, packet, bytes, index, plan);
        }
    }

    /// Counts a datagram between these ports that has nothing to do with TLS, as most have not.
    #[inline(always)]
    fn pass_over(&mut self, datagram: &UsualDatagram) {
        self.stats.packets_not_tcp += 1;
        let unread = Unread::udp(datagram.source_port, datagram.destination_port);
        self.unread.count(unread);
    }

    /// Routes a datagram of the usual kind that may be part of a handshake, or hold a tunnel; `None` for one that may.
    #[inline(never)]
    fn route_usual_datagram<A: Address>(
        &mut self,
        packet: UsualPacket<'_, A>,
        datagram: &UsualDatagram,
        (bytes, index): (&[u8], u32),
        plan: &mut Plan,
    ) -> Option<()> {
        let header = packet.udp_header(datagram, &self.tunnel_ports)?;
        if self.is_worth_a_step(&header, bytes) {
            let extra = plan.add_layers(packet.layers());
            plan.datagram(index, header, extra);
        } else {
            self.pass_over(datagram);
        }
        Some(())
    }

    /// Routes a packet that is not the usual one. Kept apart, so that the usual one does not pay for it.
    #[inline(never)]
    fn route_other(
        &mut self,
        link_type: LinkType,
        packet: &PacketRecord,
        bytes: &[u8],
        index: u32,
        plan: &mut Plan,
    ) {
        let mut layers = Layers::default();
        match decode_any(
            link_type,
            bytes,
            packet.wire_length,
            &self.tunnel_ports,
            &mut layers,
        ) {
            Ok(Decoded::Tcp(header)) => {
                let extra = plan.add_layers(layers);
                plan.segment(index, &header, extra);
            }
            Ok(Decoded::Fragment(fragment)) => {
                self.stats.fragments += 1;
                let time = packet.timestamp;
                let datagram = self.fragments.push(&fragment, bytes, &mut layers, time);
                if let Some(datagram) = datagram {
                    self.route_datagram(datagram, layers, packet, index, plan);
                }
                self.stats.fragments_discarded += self.fragments.take_discarded();
            }
            Ok(Decoded::Udp(header)) if self.is_worth_a_step(&header, bytes) => {
                let extra = plan.add_layers(layers);
                plan.datagram(index, header, extra);
            }
            Ok(Decoded::Udp(header)) => {
                self.stats.packets_not_tcp += 1;
                self.unread
                    .count(Unread::udp(header.source_port, header.destination_port));
            }
            Ok(Decoded::Icmp(error)) => {
                self.stats.packets_not_tcp += 1;
                plan.plan_icmp_error(index, error);
            }
            Ok(Decoded::Other(Unread::EtherType(value))) if is_eapol(value) => {
                let extra = plan.add_layers(layers);
                plan.eapol(index, extra);
            }
            Ok(Decoded::Other(unread)) => {
                self.stats.packets_not_tcp += 1;
                self.unread.count(unread);
            }
            Err(DecodeError::UnknownLink(link_type)) => {
                self.stats.packets_unknown_link += 1;
                self.unread.count(Unread::LinkType(link_type));
            }
            Err(_) => {
                self.stats.packets_malformed += 1;
                self.unread.count(Unread::BrokenHeaders);
            }
        }
    }

    /// Decodes a reassembled datagram, which may hold a tunnel with fragments of its own: as often as tunnels nest.
    fn route_datagram(
        &mut self,
        mut datagram: IpDatagram,
        mut layers: Layers,
        packet: &PacketRecord,
        index: u32,
        plan: &mut Plan,
    ) {
        loop {
            match datagram.decode(&self.tunnel_ports, &mut layers) {
                Ok(Decoded::Tcp(header)) => {
                    let extra = plan.add_extra(layers, Some(datagram));
                    return plan.segment(index, &header, extra);
                }
                Ok(Decoded::Fragment(fragment)) => {
                    let inner = self.fragments.push(
                        &fragment,
                        datagram.payload(),
                        &mut layers,
                        packet.timestamp,
                    );
                    match inner {
                        Some(inner) => datagram = inner,
                        None => return,
                    }
                }
                Ok(Decoded::Udp(header)) => {
                    if !self.is_worth_a_step(&header, datagram.payload()) {
                        return self
                            .unread
                            .count(Unread::udp(header.source_port, header.destination_port));
                    }
                    let extra = plan.add_extra(layers, Some(datagram));
                    return plan.datagram(index, header, extra);
                }
                Ok(Decoded::Icmp(error)) => return plan.plan_icmp_error(index, error),
                Ok(Decoded::Other(unread)) => return self.unread.count(unread),
                Err(_) => return self.unread.count(Unread::BrokenHeaders),
            }
        }
    }

    /// Whether a datagram may be part of a handshake, by one look at its first bytes.
    fn is_worth_a_step(&mut self, header: &UdpHeader, packet: &[u8]) -> bool {
        let payload = header.payload.of(packet);
        if RadiusPacket::may_be(payload, header.payload.wire_length as usize) {
            return true;
        }
        let look = FirstLook::at(payload);
        match look {
            FirstLook::MayBegin(Protocol::Quic) => self.quic.insert_beginning(header),
            // A client may go on from another port.
            FirstLook::MayContinue if payload.first().is_some_and(|first| first & 0x80 != 0) => {
                self.quic.insert(&header.flow_key().0);
            }
            FirstLook::MayBelong => {
                let first = payload.first().copied().unwrap_or(0);
                let key = |port| flow_from(header, port);
                return self.quic.may_have(key, header.source_port, first);
            }
            _ => {}
        }
        look.is_promising()
    }

    /// The capture has ended: fragments that are still incomplete stay so.
    pub(crate) fn finish(&mut self) {
        self.fragments.finish();
        self.stats.fragments_discarded += self.fragments.take_discarded();
    }

    /// The packets that were not understood.
    pub(crate) fn into_unread(self) -> UnreadPackets {
        self.unread
    }

    pub(crate) const fn stats(&self) -> Stats {
        self.stats
    }
}

/// Routes a packet of the usual kind.
struct RouteUsual<'r> {
    router: &'r mut Router,
    bytes: &'r [u8],
    index: u32,
    plan: &'r mut Plan,
}

impl UsualReader for RouteUsual<'_> {
    type Output = ();

    #[inline(always)]
    fn read<A: Address>(self, packet: UsualPacket<'_, A>) -> Option<()> {
        if let Some(segment) = packet.segment() {
            self.plan.usual_segment(self.index, segment);
            return Some(());
        }
        let datagram = packet.datagram()?;
        let router = self.router;
        let (source, destination) = (datagram.source_port, datagram.destination_port);
        let is_other = !router.tunnel_ports.may_have_any([source, destination])
            && match Glance::at(datagram.payload.of(self.bytes)) {
                Glance::Other => true,
                Glance::MayBelong(first) => {
                    let key = |port| packet.datagram_key(port, destination);
                    !router.quic.may_have(key, source, first)
                }
                Glance::Unclear => false,
            };
        if is_other {
            router.pass_over(&datagram);
            return Some(());
        }
        router.route_usual_datagram(packet, &datagram, (self.bytes, self.index), self.plan)
    }
}

/// The shard that handles a flow.
pub(crate) fn shard_of(key: &FlowKey) -> usize {
    key.shard(SHARDS.trailing_zeros())
}
