//! Key logs in the format of NSS (RFC 9850): one secret per line, looked up by the random of its ClientHello.

use std::collections::VecDeque;
use std::fmt;
use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use zeroize::Zeroizing;

use crate::time::Timestamp;

/// The `random` of a ClientHello, by which key logs name a connection.
pub type ClientRandom = [u8; 32];

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// The master secret, up to TLS 1.2: `CLIENT_RANDOM`.
    Master,
    /// `CLIENT_HANDSHAKE_TRAFFIC_SECRET`.
    ClientHandshake,
    /// `SERVER_HANDSHAKE_TRAFFIC_SECRET`.
    ServerHandshake,
    /// `CLIENT_TRAFFIC_SECRET_0`.
    ClientApplication,
    /// `SERVER_TRAFFIC_SECRET_0`.
    ServerApplication,
}

impl Label {
    /// How many there are.
    const COUNT: usize = 5;

    fn read(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"CLIENT_RANDOM" => Self::Master,
            b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Self::ClientHandshake,
            b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Self::ServerHandshake,
            b"CLIENT_TRAFFIC_SECRET_0" => Self::ClientApplication,
            b"SERVER_TRAFFIC_SECRET_0" => Self::ServerApplication,
            _ => return None,
        })
    }
}

/// A secret: wiped from memory when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// A copy of `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The secret itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// Connections whose secrets are stored; beyond that, the oldest is forgotten. They take up to a kilobyte each.
pub const MAX_CONNECTIONS: usize = 1 << 18;
/// How long secrets outlive their connection: it may be captured twice, before and behind a NAT.
const GRACE: Duration = Duration::from_secs(60);
/// The longest line that holds a secret: its label, 64 digits, 128 digits, and some room.
const MAX_LINE: usize = 512;
/// The longest secret: the output of SHA-512, which no cipher suite exceeds.
const MAX_SECRET: usize = 64;

/// Counts of the lines of key logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyLogCounts {
    /// Lines with a secret that can be used.
    pub secrets: u64,
    /// Comments, and lines with a label that is not used here.
    pub ignored: u64,
    /// Lines that a key log cannot have.
    pub malformed: u64,
    /// Connections whose secrets were forgotten to make room.
    pub forgotten: u64,
}

/// Secrets from key logs, within [`MAX_CONNECTIONS`].
///
/// Text may be cut anywhere: a last line without its end waits for the rest, since
/// key logs are read while they are written.
///
/// # Example
///
/// ```
/// use tlscope::decrypt::{KeyLog, Label};
///
/// let mut log = KeyLog::default();
/// let random = "01".repeat(32);
/// log.absorb(format!("# a comment\nCLIENT_RANDOM {random} {}", "ab".repeat(20)).as_bytes());
/// assert_eq!(log.find(&[1; 32], Label::Master, 0), None);
/// log.absorb(format!("{}\n", "ab".repeat(28)).as_bytes());
/// assert_eq!(log.find(&[1; 32], Label::Master, 0).unwrap().bytes(), [0xab; 48]);
/// ```
pub struct KeyLog {
    hasher: RandomState,
    connections: HashTable<ConnectionSecrets>,
    /// By age.
    randoms: VecDeque<ClientRandom>,
    /// Connections that have ended, and when.
    retired: VecDeque<(Timestamp, ClientRandom)>,
    /// The last line, as far as it has been read. Never reallocated, since that would leave copies behind.
    line: Zeroizing<Vec<u8>>,
    /// Whether the last line is too long to be one.
    is_overlong: bool,
    turn: u64,
    counts: KeyLogCounts,
    /// Connections whose secrets are stored at most.
    most: usize,
}

struct ConnectionSecrets {
    random: ClientRandom,
    /// By [`Label`]: the secret, and the turn in which it came.
    secrets: [Option<(Secret, u64)>; Label::COUNT],
}

impl Default for KeyLog {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            connections: HashTable::new(),
            randoms: VecDeque::new(),
            retired: VecDeque::new(),
            line: Zeroizing::new(Vec::with_capacity(MAX_LINE)),
            is_overlong: false,
            turn: 0,
            counts: KeyLogCounts::default(),
            most: MAX_CONNECTIONS,
        }
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog")
            .field("connections", &self.connections.len())
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl KeyLog {
    /// Takes the next part of a key log's text.
    pub fn absorb(&mut self, mut text: &[u8]) {
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = text.split_at(end);
            if self.line.is_empty() && !self.is_overlong {
                self.take_line(line);
            } else {
                self.keep(line);
                self.finish();
            }
            text = rest.get(1..).unwrap_or_default();
        }
        self.keep(text);
    }

    pub(super) const fn uncount_malformed(&mut self, lines: u64) {
        self.counts.malformed = self.counts.malformed.saturating_sub(lines);
    }

    /// Notes that the text has ended, and its last line with it.
    pub fn finish(&mut self) {
        if std::mem::take(&mut self.is_overlong) {
            self.counts.malformed += 1;
        } else {
            let line =
                std::mem::replace(&mut self.line, Zeroizing::new(Vec::with_capacity(MAX_LINE)));
            self.take_line(&line);
        }
    }

    /// Secrets that come from now on belong to this turn: see [`KeyLog::find`].
    pub const fn begin_turn(&mut self, turn: u64) {
        self.turn = turn;
    }

    /// The secret of a connection, if it came in `turn` or before.
    #[must_use]
    pub fn find(&self, random: &ClientRandom, label: Label, turn: u64) -> Option<&Secret> {
        let connection = self
            .connections
            .find(self.hash(random), |connection| connection.random == *random)?;
        let (secret, came) = connection.secrets[label as usize].as_ref()?;
        (*came <= turn).then_some(secret)
    }

    /// Bytes of memory that the secrets of a connection take at most: a secret of each kind, a place in the table, which may be half
    /// empty, and its random in two lists.
    pub const BYTES_PER_CONNECTION: usize = 2 * size_of::<ConnectionSecrets>()
        + 2 * size_of::<(Timestamp, ClientRandom)>()
        + Label::COUNT * MAX_SECRET;

    /// Keeps to `bytes` of memory from now on: the oldest secrets are forgotten for new ones.
    pub const fn keep_within(&mut self, bytes: usize) {
        let most = bytes / Self::BYTES_PER_CONNECTION;
        self.most = if most < MAX_CONNECTIONS {
            most
        } else {
            MAX_CONNECTIONS
        };
    }

    /// Notes that a connection ended `at` some moment: [`KeyLog::expire`] wipes its secrets a minute later.
    pub fn retire(&mut self, random: &ClientRandom, at: Timestamp) {
        if self.retired.len() < self.most {
            self.retired.push_back((at, *random));
        }
    }

    /// Wipes the secrets of connections that had ended a minute before `now`.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some((at, random)) = self.retired.front().copied() {
            if at.saturating_add(GRACE) > now {
                return;
            }
            self.retired.pop_front();
            self.remove(&random);
        }
    }

    /// Counts of the lines so far.
    #[must_use]
    pub const fn counts(&self) -> KeyLogCounts {
        self.counts
    }

    /// Keeps part of a line.
    fn keep(&mut self, part: &[u8]) {
        if self.line.len() + part.len() > MAX_LINE {
            self.is_overlong = true;
            self.line.clear();
        }
        if !self.is_overlong {
            self.line.extend_from_slice(part);
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let Some(label) = words.next() else {
            return;
        };
        let known = Label::read(label);
        let mut hex = || words.next().and_then(read_hex);
        let Some(label) = known else {
            let mut is_secret =
                || label.iter().all(is_label_byte) && hex().is_some() && hex().is_some();
            let may_be_ignored = line.len() <= MAX_LINE && (label.starts_with(b"#") || is_secret());
            self.counts.ignored += u64::from(may_be_ignored);
            self.counts.malformed += u64::from(!may_be_ignored);
            return;
        };
        match (hex(), hex(), words.next()) {
            (Some(random), Some(secret), None) => self.insert(&random, label, &secret),
            _ => self.counts.malformed += 1,
        }
    }

    fn insert(&mut self, random: &[u8], label: Label, secret: &[u8]) {
        let Ok(random) = ClientRandom::try_from(random) else {
            self.counts.malformed += 1;
            return;
        };
        self.counts.secrets += 1;
        let hash = self.hash(&random);
        let entry = (Secret::new(secret), self.turn);
        let known = self
            .connections
            .find_mut(hash, |connection| connection.random == random);
        if let Some(connection) = known {
            // Logs repeat themselves when both peers write one; the first entry stays, as others go by its turn.
            connection.secrets[label as usize].get_or_insert(entry);
            return;
        }
        if self.connections.len() >= self.most {
            self.forget_oldest();
        }
        let mut connection = ConnectionSecrets {
            random,
            secrets: Default::default(),
        };
        connection.secrets[label as usize] = Some(entry);
        let hasher = &self.hasher;
        self.connections
            .insert_unique(hash, connection, |connection| {
                hasher.hash_one(connection.random)
            });
        if self.randoms.len() >= 2 * self.most {
            self.forget_randoms();
        }
        self.randoms.push_back(random);
    }

    fn forget_oldest(&mut self) {
        // Those of connections that have ended are no longer there.
        while let Some(oldest) = self.randoms.pop_front() {
            if self.remove(&oldest) {
                self.counts.forgotten += 1;
                return;
            }
        }
    }

    /// Drops the randoms of connections that are no longer there.
    fn forget_randoms(&mut self) {
        let Self {
            hasher,
            connections,
            randoms,
            ..
        } = self;
        randoms.retain(|random| {
            let hash = hasher.hash_one(random);
            let found = connections.find(hash, |connection| connection.random == *random);
            found.is_some()
        });
    }

    /// Wipes the secrets of a connection; false if there are none.
    fn remove(&mut self, random: &ClientRandom) -> bool {
        let hash = self.hash(random);
        let entry = self
            .connections
            .find_entry(hash, |connection| connection.random == *random);
        entry.map(|entry| drop(entry.remove())).is_ok()
    }

    fn hash(&self, random: &ClientRandom) -> u64 {
        self.hasher.hash_one(random)
    }
}

const fn is_label_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}

/// The bytes that pairs of hexadecimal digits stand for; `None` for anything else, or too much.
fn read_hex(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if digits.len() % 2 == 1 || digits.len() > 2 * MAX_SECRET {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET));
    for pair in digits.chunks_exact(2) {
        bytes.push((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: &str, random: u8, secret: u8) -> String {
        let hex = |byte: u8, count: usize| format!("{byte:02X}").repeat(count);
        format!("{label} {} {}\n", hex(random, 32), hex(secret, 48))
    }

    fn log(text: &str) -> KeyLog {
        let mut log = KeyLog::default();
        log.absorb(text.as_bytes());
        log.finish();
        log
    }

    #[test]
    fn finds_each_secret_by_random_and_label() {
        let labels = [
            ("CLIENT_RANDOM", Label::Master),
            ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", Label::ClientHandshake),
            ("SERVER_HANDSHAKE_TRAFFIC_SECRET", Label::ServerHandshake),
            ("CLIENT_TRAFFIC_SECRET_0", Label::ClientApplication),
            ("SERVER_TRAFFIC_SECRET_0", Label::ServerApplication),
        ];
        let text: String = (1..)
            .zip(labels)
            .map(|(secret, (name, _))| line(name, 7, secret))
            .collect();
        let log = log(&text);
        for (secret, (_, label)) in (1..).zip(labels) {
            let found = log.find(&[7; 32], label, 0).unwrap();
            assert_eq!(found.bytes(), [secret; 48]);
            assert_eq!(log.find(&[8; 32], label, 0), None);
        }
    }

    #[test]
    fn text_may_be_cut_anywhere() {
        let text = format!(
            "{}\r\n#\n{}",
            line("CLIENT_RANDOM", 1, 2).trim_end(),
            line("CLIENT_RANDOM", 3, 4)
        );
        for first in 0..=text.len() {
            let mut log = KeyLog::default();
            log.absorb(&text.as_bytes()[..first]);
            log.absorb(&text.as_bytes()[first..]);
            assert!(log.find(&[1; 32], Label::Master, 0).is_some(), "{first}");
            assert!(log.find(&[3; 32], Label::Master, 0).is_some(), "{first}");
        }
    }

    #[test]
    fn a_last_line_counts_once_it_has_ended() {
        let text = line("CLIENT_RANDOM", 1, 2);
        let mut log = KeyLog::default();
        log.absorb(text.trim_end().as_bytes());
        assert_eq!(log.find(&[1; 32], Label::Master, 0), None);
        log.finish();
        assert!(log.find(&[1; 32], Label::Master, 0).is_some());
    }

    #[test]
    fn what_is_no_secret_of_use_is_counted_and_passed_over() {
        let random = "00".repeat(32);
        let text = format!(
            "# comment\n\nEXPORTER_SECRET {random} 00\nRSA 0011 2233\n\
             CLIENT_RANDOM {random}\nCLIENT_RANDOM {random} 0\nCLIENT_RANDOM {random} 0g\n\
             CLIENT_RANDOM 00 00\nCLIENT_RANDOM {random} 00 00\n\u{1}\u{2}\nno secret at all\n{}\n",
            "x".repeat(10_000)
        );
        let counts = log(&text).counts();
        assert_eq!(
            (counts.secrets, counts.ignored, counts.malformed),
            (0, 3, 8)
        );
    }

    #[test]
    fn a_line_without_end_takes_no_room() {
        let mut log = KeyLog::default();
        for _ in 0..1000 {
            log.absorb(&[b'x'; 1000]);
        }
        assert!(log.line.capacity() <= MAX_LINE);
        log.absorb(format!("\n{}", line("CLIENT_RANDOM", 1, 2)).as_bytes());
        assert!(log.find(&[1; 32], Label::Master, 0).is_some());
        assert_eq!(log.counts().malformed, 1);
    }

    #[test]
    fn a_secret_is_there_from_its_turn_on() {
        let mut log = KeyLog::default();
        log.begin_turn(3);
        log.absorb(line("CLIENT_RANDOM", 1, 2).as_bytes());
        log.begin_turn(4);
        log.absorb(line("CLIENT_RANDOM", 1, 9).as_bytes());
        assert_eq!(log.find(&[1; 32], Label::Master, 2), None);
        let found = log.find(&[1; 32], Label::Master, 3).unwrap();
        assert_eq!(found.bytes(), [2; 48], "the first entry stays");
    }

    #[test]
    fn the_oldest_connections_make_room() {
        let mut log = KeyLog::default();
        let random = |number: usize| {
            let mut random = [0; 32];
            random[..8].copy_from_slice(&number.to_be_bytes());
            random
        };
        for number in 0..MAX_CONNECTIONS + 2 {
            log.insert(&random(number), Label::Master, &[1; 48]);
        }
        assert_eq!(log.find(&random(1), Label::Master, 0), None);
        assert!(log.find(&random(2), Label::Master, 0).is_some());
        assert_eq!(log.counts().forgotten, 2);
        assert_eq!(log.randoms.len(), MAX_CONNECTIONS);
    }

    #[test]
    fn secrets_are_not_printed() {
        let text = format!("{:?}", log(&line("CLIENT_RANDOM", 0xaa, 0xbb)));
        assert!(text.contains("connections: 1"));
        let text = text + &format!("{:?}", Secret::new(&[0xbb; 48]));
        assert!(!text.contains("bb") && !text.contains("187"), "{text}");
    }

    #[test]
    fn secrets_of_a_connection_that_has_ended_are_wiped_after_a_while() {
        let mut log = log(&(line("CLIENT_RANDOM", 1, 2) + &line("CLIENT_RANDOM", 3, 4)));
        let end = Timestamp::from_seconds(100);
        log.retire(&[1; 32], end);
        log.expire(end.saturating_add(GRACE - Duration::from_nanos(1)));
        assert!(log.find(&[1; 32], Label::Master, 0).is_some());
        log.expire(end.saturating_add(GRACE));
        assert!(log.find(&[1; 32], Label::Master, 0).is_none());
        assert!(log.find(&[3; 32], Label::Master, 0).is_some());
        assert_eq!(log.counts().forgotten, 0);
        log.forget_randoms();
        assert_eq!(log.randoms, [[3; 32]]);
    }
}
