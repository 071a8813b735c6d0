//! Handshake messages of DTLS, put together from their fragments (RFC 6347 §4.2.2, §4.2.3; RFC 9147 §5.2, §5.5).
//!
//! Messages of a sender are numbered, so they are given in order: one that arrives early
//! waits for those before it, as it does at the receiver.

use crate::tls::{HandshakeType, Message, ReadError, Reader};
use crate::transport::tcp::Arrival;

/// The longest message that is put together. Chains of DTLS peers have a few kilobytes; the longest in the labs has 7 KB.
const MAX_MESSAGE: usize = 64 << 10;
/// Bytes of fragments that one sender may have waiting: a long chain, and the rest of its flight.
const MAX_WAITING: usize = 80 << 10;
/// Messages that wait at the same time: a flight has no more than seven (RFC 6347 §4.2.4).
const MAX_MESSAGES: usize = 8;
/// How far ahead of the next message a number is believed.
const MAX_AHEAD: u16 = 16;
/// Runs of bytes of one message that wait for those before them: at 100 bytes a fragment, a chain of 6 KB in reverse order.
const MAX_RUNS: usize = 64;

/// A fragment of a handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub(crate) handshake_type: HandshakeType,
    /// The length of the whole message's body in bytes.
    pub(crate) length: usize,
    /// The number of the message, `message_seq`.
    pub(crate) sequence: u16,
    /// Where in the body it begins.
    pub(crate) offset: usize,
    pub(crate) bytes: &'a [u8],
}

/// Bytes of the header of a handshake fragment.
pub(crate) const FRAGMENT_HEADER: usize = 12;

impl<'a> Fragment<'a> {
    /// Takes a fragment off the front of a record.
    ///
    /// # Errors
    ///
    /// [`ReadError::Invalid`] if it reaches beyond its message; [`ReadError::Incomplete`] if the record ends within it.
    pub(crate) fn take(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        let (fragment, count) = Self::take_header(reader)?;
        let bytes = reader.take(count)?;
        Ok(Self { bytes, ..fragment })
    }

    /// Takes what is there of a fragment in a record that the snap length cut.
    ///
    /// # Errors
    ///
    /// As [`Fragment::take`], if not all of the header is there.
    pub(crate) fn take_cut(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        let (fragment, count) = Self::take_header(reader)?;
        let bytes = reader.take(count.min(reader.len()))?;
        Ok(Self { bytes, ..fragment })
    }

    /// Takes the header: a fragment without its bytes, and how many there are.
    fn take_header(reader: &mut Reader<'a>) -> Result<(Self, usize), ReadError> {
        let fragment = Self {
            handshake_type: HandshakeType(reader.u8()?),
            length: reader.u24()?,
            sequence: reader.u16()?,
            offset: reader.u24()?,
            bytes: &[],
        };
        let count = reader.u24()?;
        if fragment.offset + count > fragment.length {
            return Err(ReadError::Invalid("fragment_length"));
        }
        Ok((fragment, count))
    }

    const fn is_whole(&self) -> bool {
        self.offset == 0 && self.bytes.len() == self.length
    }

    const fn message<'m>(&self, body: Option<&'m [u8]>) -> Message<'m> {
        Message {
            handshake_type: self.handshake_type,
            body,
            length: self.length,
        }
    }

    /// Whether the numbers of a direction begin with this message, if none of it was seen before.
    const fn may_be_first(&self) -> bool {
        matches!(
            self.handshake_type,
            HandshakeType::ClientHello
                | HandshakeType::ServerHello
                | HandshakeType::HelloVerifyRequest
        )
    }
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It has bytes that were not seen before.
    New,
    /// It was seen before: a retransmission.
    Repeated,
    /// A limit was reached, or it contradicts other fragments.
    Discarded,
}

/// What a direction's messages give, in their order.
#[derive(Debug)]
pub(super) enum Given<'a> {
    Message(Message<'a>, Arrival),
    /// The beginning of a message whose rest does not come.
    Partial(Message<'a>, Arrival),
    /// So many bytes did not come, at least.
    Gap(u32),
}

/// The messages of one direction.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The number of the next message to be given; `None` before the first hello.
    next: Option<u16>,
    /// What has arrived of that message and later ones, ordered by number.
    waiting: Vec<Waiting>,
    /// Whether the last message given was a HelloVerifyRequest.
    is_after_verify_request: bool,
}

/// A message of which not all has arrived, or not all before it.
#[derive(Debug)]
struct Waiting {
    handshake_type: HandshakeType,
    length: usize,
    sequence: u16,
    start: Arrival,
    /// Its first bytes.
    head: Vec<u8>,
    /// Runs of bytes after a hole, ordered; they may overlap.
    runs: Vec<(usize, Box<[u8]>)>,
}

impl Messages {
    /// The number of the next message; 0 before the first hello.
    pub(super) fn next(&self) -> u16 {
        self.next.unwrap_or_default()
    }

    /// Takes a fragment, and calls `give` for each message that it completes.
    pub(super) fn push(
        &mut self,
        fragment: &Fragment<'_>,
        arrival: Arrival,
        give: &mut impl FnMut(Given<'_>),
    ) -> Taken {
        self.note_first(fragment);
        let ahead = match self.next {
            Some(next) => fragment.sequence.wrapping_sub(next),
            None => 0,
        };
        if ahead.cast_signed() < 0 {
            return Taken::Repeated;
        }
        if ahead > MAX_AHEAD || fragment.length > MAX_MESSAGE {
            return Taken::Discarded;
        }
        let is_next = self.next.is_some() && ahead == 0;
        if is_next && fragment.is_whole() && !self.is_waiting(fragment.sequence) {
            give(Given::Message(
                fragment.message(Some(fragment.bytes)),
                arrival,
            ));
            self.note_given(fragment.sequence, fragment.handshake_type);
        } else {
            match self.hold(fragment, arrival) {
                Taken::New => {}
                other => return other,
            }
        }
        self.give_complete(give);
        Taken::New
    }

    /// Gives what waits although something before it is missing: that will not come, or is of no more interest.
    pub(super) fn give_up_missing(&mut self, give: &mut impl FnMut(Given<'_>)) {
        for waiting in std::mem::take(&mut self.waiting) {
            let skipped = self
                .next
                .map_or(0, |next| waiting.sequence.wrapping_sub(next));
            if skipped > 0 {
                give(Given::Gap(skipped.into())); // a byte for each message, at least
            }
            if waiting.is_complete() {
                give(Given::Message(waiting.message(), waiting.start));
            } else {
                let missing = waiting.length - waiting.head.len();
                give(Given::Gap(missing as u32)); // no more than `MAX_MESSAGE`
                give(Given::Partial(waiting.message(), waiting.start));
            }
            self.note_given(waiting.sequence, waiting.handshake_type);
        }
    }

    /// Bytes of memory that fragments take.
    pub(super) fn allocated(&self) -> usize {
        let waiting = self.waiting.iter().map(|waiting| {
            let runs = waiting.runs.iter().map(|(_, bytes)| bytes.len());
            waiting.head.capacity()
                + runs.sum::<usize>()
                + waiting.runs.capacity() * size_of::<(usize, Box<[u8]>)>()
        });
        waiting.sum::<usize>() + self.waiting.capacity() * size_of::<Waiting>()
    }

    /// Begins to count at the first hello. After a HelloVerifyRequest, some stateless servers begin at 0 again.
    fn note_first(&mut self, fragment: &Fragment<'_>) {
        let begins_again = self.is_after_verify_request
            && fragment.handshake_type == HandshakeType::ServerHello
            && self.waiting.is_empty();
        if (self.next.is_none() || begins_again) && fragment.may_be_first() {
            self.next = Some(fragment.sequence);
        }
    }

    fn note_given(&mut self, sequence: u16, handshake_type: HandshakeType) {
        self.next = Some(sequence.wrapping_add(1));
        self.is_after_verify_request = handshake_type == HandshakeType::HelloVerifyRequest;
    }

    fn is_waiting(&self, sequence: u16) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|waiting| waiting.sequence == sequence)
    }

    fn hold(&mut self, fragment: &Fragment<'_>, arrival: Arrival) -> Taken {
        let held: usize = self.waiting.iter().map(Waiting::held).sum();
        if held + fragment.bytes.len() > MAX_WAITING {
            return Taken::Discarded;
        }
        let next = self.next.unwrap_or(0);
        let order = |sequence: u16| sequence.wrapping_sub(next).cast_signed();
        let place = self
            .waiting
            .binary_search_by_key(&order(fragment.sequence), |waiting| order(waiting.sequence));
        let place = match place {
            Ok(_) if fragment.length == 0 => return Taken::Repeated,
            Ok(place) => place,
            Err(_) if self.waiting.len() >= MAX_MESSAGES => return Taken::Discarded,
            Err(place) => {
                self.waiting.insert(place, Waiting::new(fragment, arrival));
                place
            }
        };
        match self.waiting.get_mut(place) {
            Some(waiting) => waiting.add(fragment),
            None => Taken::Discarded,
        }
    }

    fn give_complete(&mut self, give: &mut impl FnMut(Given<'_>)) {
        while let Some(first) = self.waiting.first() {
            if Some(first.sequence) != self.next || !first.is_complete() {
                return;
            }
            let first = self.waiting.remove(0);
            give(Given::Message(first.message(), first.start));
            self.note_given(first.sequence, first.handshake_type);
        }
    }
}

impl Waiting {
    fn new(fragment: &Fragment<'_>, start: Arrival) -> Self {
        Self {
            handshake_type: fragment.handshake_type,
            length: fragment.length,
            sequence: fragment.sequence,
            start,
            head: Vec::new(),
            runs: Vec::new(),
        }
    }

    const fn is_complete(&self) -> bool {
        self.head.len() >= self.length
    }

    fn message(&self) -> Message<'_> {
        Message {
            handshake_type: self.handshake_type,
            body: Some(&self.head),
            length: self.length,
        }
    }

    /// Bytes that it holds.
    fn held(&self) -> usize {
        let runs = self.runs.iter().map(|(_, bytes)| bytes.len());
        self.head.len() + runs.sum::<usize>()
    }

    /// Takes a fragment of this message. Bytes that came first win.
    fn add(&mut self, fragment: &Fragment<'_>) -> Taken {
        if fragment.handshake_type != self.handshake_type || fragment.length != self.length {
            return Taken::Discarded;
        }
        if fragment.offset > self.head.len() {
            return self.add_run(fragment);
        }
        let known = self.head.len() - fragment.offset;
        let new = fragment.bytes.get(known..).unwrap_or_default();
        if new.is_empty() && self.length > 0 {
            return Taken::Repeated;
        }
        self.head.extend_from_slice(new);
        self.join_runs();
        Taken::New
    }

    fn add_run(&mut self, fragment: &Fragment<'_>) -> Taken {
        let end = fragment.offset + fragment.bytes.len();
        let covers = |(start, bytes): &(usize, Box<[u8]>)| {
            *start <= fragment.offset && end <= start + bytes.len()
        };
        if self.runs.iter().any(covers) || fragment.bytes.is_empty() {
            return Taken::Repeated;
        }
        if self.runs.len() >= MAX_RUNS {
            return Taken::Discarded;
        }
        let place = self
            .runs
            .partition_point(|(start, _)| *start <= fragment.offset);
        self.runs
            .insert(place, (fragment.offset, fragment.bytes.into()));
        Taken::New
    }

    /// Moves runs that the head has reached to it.
    fn join_runs(&mut self) {
        let reached = |head: usize, runs: &[(usize, Box<[u8]>)]| {
            runs.first().is_some_and(|(start, _)| *start <= head)
        };
        while reached(self.head.len(), &self.runs) {
            let (start, bytes) = self.runs.remove(0);
            let known = self.head.len() - start;
            self.head
                .extend_from_slice(bytes.get(known..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Timestamp;

    const AT: Arrival = Arrival::new(Timestamp::from_seconds(0), 1);

    /// A message in fragments of at most `size` bytes: one record each.
    pub(in super::super) fn fragments(
        handshake_type: u8,
        sequence: u16,
        body: &[u8],
        size: usize,
    ) -> Vec<Vec<u8>> {
        let u24 = |number: usize| (number as u32).to_be_bytes()[1..].to_vec();
        let starts = (0..body.len().max(1)).step_by(size.max(1));
        let fragment = |start: usize| {
            let part = &body[start..body.len().min(start + size)];
            [
                &[handshake_type][..],
                &u24(body.len()),
                &sequence.to_be_bytes(),
                &u24(start),
                &u24(part.len()),
                part,
            ]
            .concat()
        };
        starts.map(fragment).collect()
    }

    fn note(seen: &mut Vec<String>) -> impl FnMut(Given<'_>) {
        |given| {
            seen.push(match given {
                Given::Message(message, _) => {
                    assert_eq!(message.body.map(<[u8]>::len), Some(message.length));
                    let sum: u32 = message
                        .body
                        .unwrap()
                        .iter()
                        .map(|byte| u32::from(*byte))
                        .sum();
                    format!("{} {} {sum}", message.handshake_type.0, message.length)
                }
                Given::Partial(message, _) => format!("part of {}", message.handshake_type.0),
                Given::Gap(missing) => format!("gap {missing}"),
            })
        }
    }

    fn push(messages: &mut Messages, record: &[u8], seen: &mut Vec<String>) -> Taken {
        let fragment = Fragment::take(&mut Reader::new(record)).unwrap();
        messages.push(&fragment, AT, &mut note(seen))
    }

    /// What is given of these records, each with one fragment.
    fn read(records: &[Vec<u8>]) -> Vec<String> {
        let (mut messages, mut seen) = (Messages::default(), Vec::new());
        for record in records {
            push(&mut messages, record, &mut seen);
        }
        messages.give_up_missing(&mut note(&mut seen));
        assert_eq!(messages.waiting.len(), 0);
        seen
    }

    const BODY: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

    fn flight(size: usize) -> Vec<Vec<u8>> {
        [
            fragments(2, 1, BODY, size),
            fragments(11, 2, &BODY[..7], size),
            fragments(14, 3, &[], size),
        ]
        .concat()
    }

    const FLIGHT: [&str; 3] = ["2 10 55", "11 7 28", "14 0 0"];

    #[test]
    fn fragments_of_any_size_and_in_any_order_give_the_messages_in_order() {
        for size in 1..=BODY.len() {
            let mut records = flight(size);
            assert_eq!(read(&records), FLIGHT, "fragments of {size}");
            let rest = records.split_off(1); // the ServerHello begins the numbers
            let late = [records, rest.into_iter().rev().collect()].concat();
            assert_eq!(read(&late), FLIGHT, "the last first, fragments of {size}");
        }
    }

    #[test]
    fn every_prefix_of_a_fragment_is_incomplete() {
        let record = &fragments(2, 1, BODY, 100)[0];
        for length in 0..record.len() {
            let taken = Fragment::take(&mut Reader::new(&record[..length]));
            assert_eq!(taken, Err(ReadError::Incomplete), "{length}");
        }
    }

    #[test]
    fn a_fragment_beyond_its_message_is_rejected() {
        let mut record = fragments(2, 1, BODY, 100)[0].clone();
        record[8] = 1; // the offset
        assert_eq!(
            Fragment::take(&mut Reader::new(&record)),
            Err(ReadError::Invalid("fragment_length"))
        );
    }

    #[test]
    fn what_was_seen_is_a_repetition() {
        let (mut messages, mut seen) = (Messages::default(), Vec::new());
        for record in flight(4) {
            assert_eq!(push(&mut messages, &record, &mut seen), Taken::New);
        }
        for record in flight(3) {
            assert_eq!(push(&mut messages, &record, &mut seen), Taken::Repeated);
        }
        assert_eq!(seen, FLIGHT);
    }

    #[test]
    fn a_message_that_is_missing_is_a_gap() {
        let mut records = flight(4);
        records.retain(|record| record[0] != 11);
        assert_eq!(read(&records), ["2 10 55", "gap 1", "14 0 0"]);
        let mut records = flight(4);
        records.remove(4); // the second half of the certificate
        assert_eq!(read(&records), ["2 10 55", "gap 3", "part of 11", "14 0 0"]);
    }

    #[test]
    fn a_server_that_begins_its_numbers_again_after_the_cookie_is_understood() {
        let records = [fragments(3, 0, &[9], 100), fragments(2, 0, BODY, 100)].concat();
        assert_eq!(read(&records), ["3 1 9", "2 10 55"]);
    }

    #[test]
    fn numbers_wrap() {
        let records = [
            fragments(2, u16::MAX, BODY, 100),
            fragments(14, 1, &[], 100),
            fragments(11, 0, BODY, 4),
        ];
        assert_eq!(read(&records.concat()), ["2 10 55", "11 10 55", "14 0 0"]);
    }

    #[test]
    fn fragments_that_contradict_each_other_are_discarded() {
        let (mut messages, mut seen) = (Messages::default(), Vec::new());
        push(&mut messages, &fragments(2, 1, BODY, 4)[0], &mut seen);
        let other = &fragments(2, 1, &BODY[..9], 4)[1];
        assert_eq!(push(&mut messages, other, &mut seen), Taken::Discarded);
        let other = &fragments(11, 1, BODY, 4)[1];
        assert_eq!(push(&mut messages, other, &mut seen), Taken::Discarded);
    }

    #[test]
    fn hostile_fragments_take_bounded_memory() {
        let (mut messages, mut seen) = (Messages::default(), Vec::new());
        push(&mut messages, &fragments(2, 0, BODY, 100)[0], &mut seen);
        let body = vec![7; MAX_MESSAGE];
        let mut discarded = 0;
        for sequence in 1..200 {
            for record in fragments(11, sequence, &body, 500)
                .iter()
                .skip(1)
                .step_by(2)
            {
                let taken = push(&mut messages, record, &mut seen);
                discarded += usize::from(taken == Taken::Discarded);
            }
        }
        assert!(discarded > 10_000, "{discarded}");
        assert!(
            messages.allocated() <= MAX_WAITING + 16_000,
            "{}",
            messages.allocated()
        );
        let long = fragments(11, 1, &vec![0; MAX_MESSAGE + 1], 100);
        assert_eq!(push(&mut messages, &long[0], &mut seen), Taken::Discarded);
    }

    proptest! {
        #[test]
        fn any_order_with_repetitions_gives_the_same_messages(
            size in 1usize..12, order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let records = flight(size);
            let shuffled = order.iter().filter_map(|index| records.get(index % 21)).cloned();
            let all: Vec<_> = [fragments(2, 1, BODY, 100), shuffled.collect(), records].concat();
            prop_assert_eq!(read(&all), FLIGHT);
        }
    }
}
