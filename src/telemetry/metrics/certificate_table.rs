//! The certificates served now: the bounded table behind the certificate gauges.
//!
//! # Why does a series stand for a place, not for a certificate?
//!
//! With a series for each serial number, a renewal ends one series and begins another: an
//! alert on the old one goes on until the certificate is forgotten, and certificates that
//! live for a day leave hundreds of series a year. So a series stands for a role and an
//! identity, and shows the certificate that is served there now. While several are, it
//! shows the one that expires first, and their number is a metric of its own.
//!
//! # When is a certificate no longer served?
//!
//! A passive observer gets no notice of that. A certificate with a newer one in its place counts for
//! [`SUPERSEDED_MEMORY`] after it was last shown, and any other for a tenth of its
//! lifetime: the certificate of a job that has ended must not expire in the metrics.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use opentelemetry::KeyValue;

use super::heavy_hitters::label;
use crate::certificate::{
    Certificate, CertificateFacts, CertificateRole, CertificateTime, Expiry, PublicKey,
};
use crate::event::{Handshake, Outcome, Side};
use crate::time::Timestamp;

/// Most certificates. A series costs about a kilobyte here and more in every store behind
/// the collector.
pub(crate) const MAX_CERTIFICATES: usize = 10_000;

/// The share of a full table that stays when others are evicted: often enough to be
/// useful, seldom enough that a new certificate costs no search.
const STAYS: (usize, usize) = (7, 8);

/// How long a certificate counts as served after it was last shown, if its place has shown
/// a newer one. A backend that did not reload shows it again within an hour, unless it is
/// hardly used.
const SUPERSEDED_MEMORY: Duration = Duration::from_secs(3_600);

/// The part of its lifetime for which a certificate is remembered, if that is shorter than
/// what the user allows.
const REMEMBERED_PART: u64 = 10;

/// The shortest time for which a certificate is remembered: a few exports.
const SHORTEST_MEMORY: Duration = Duration::from_secs(900);

/// How far a tick may be behind packet time before it means that the clock was set back.
const SET_BACK: Duration = Duration::from_secs(60);

/// The certificates shown so far.
#[derive(Debug)]
pub(crate) struct CertificateTable {
    shown: HashMap<TableKey, ShownCertificate, RandomState>,
    judged_at: Timestamp,
    /// Packet time, as far as it has come.
    now: Timestamp,
    capacity: usize,
    /// The longest time that a certificate stays after it was last shown; `None` for ever.
    memory: Option<Duration>,
    /// Whether each serial number is a place of its own.
    by_serial: bool,
    /// Certificates that were dropped because the table was full.
    evicted: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct TableKey {
    sha256: [u8; 32],
    role: CertificateRole,
}

#[derive(Debug)]
struct ShownCertificate {
    identity: Box<str>,
    attributes: Arc<[KeyValue]>,
    validity: Validity,
    /// The algorithm of its key: a server may have a certificate for each.
    algorithm: Discriminant<PublicKey>,
    /// When it was shown last.
    last: Timestamp,
    /// Whether it was shown more than once.
    again: bool,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: CertificateTime,
    pub(crate) not_after: CertificateTime,
}

impl Validity {
    pub(crate) const fn of(facts: &CertificateFacts) -> Self {
        Self {
            not_before: facts.not_before,
            not_after: facts.not_after,
        }
    }
}

/// One place for the gauges: a role and an identity, or a watched file.
#[derive(Clone, Debug)]
pub(crate) struct CertificateObservation {
    /// Of the certificate that expires first, among those served now.
    pub(crate) validity: Validity,
    /// Negative once expired.
    pub(crate) days_until_expiry: f64,
    /// Certificates served now, of the key algorithm that has most of them.
    pub(crate) variants: u64,
    pub(crate) attributes: Arc<[KeyValue]>,
}

impl CertificateObservation {
    pub(crate) fn new(validity: Validity, now: Timestamp, attributes: &Arc<[KeyValue]>) -> Self {
        Self {
            validity,
            days_until_expiry: Expiry::new(validity.not_after, now).days(),
            variants: 1,
            attributes: Arc::clone(attributes),
        }
    }
}

impl CertificateTable {
    /// `by_serial` makes each serial number a place of its own.
    pub(crate) fn new(capacity: usize, memory: Option<Duration>, by_serial: bool) -> Self {
        Self {
            shown: HashMap::default(),
            judged_at: Timestamp::MIN,
            now: Timestamp::MIN,
            capacity,
            memory,
            by_serial,
            evicted: 0,
        }
    }

    /// Notes that it is `now`: days pass, and certificates are dropped, even while none is shown.
    ///
    /// A clock that is set back was wrong before, so its time is discarded.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        let behind = self.now.checked_since(now);
        if behind.is_some_and(|behind| behind > SET_BACK) {
            (self.now, self.judged_at) = (now, now);
        }
        self.now = self.now.max(now);
        self.judged_at = self.judged_at.max(now);
    }

    /// Certificates that were dropped because the table was full.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Records the certificates that both sides of `event` showed. One that the server refused is not in use there: anybody may show an
    /// expired one.
    pub(crate) fn record(&mut self, event: &Handshake) {
        self.judged_at = self.judged_at.max(event.judged_at);
        self.now = self.now.max(event.time);
        let server = (Side::Server, &event.server_certificates);
        let client = (Side::Client, &event.client_certificates);
        let is_client_refused = event.outcome == Outcome::Failure
            || matches!(&event.rejected_after, Some(refused) if refused.side == Side::Server);
        for (side, chain) in [server, client] {
            if side == Side::Client && is_client_refused {
                continue;
            }
            for (position, certificate) in chain.iter().flat_map(|chain| chain.iter()).enumerate() {
                self.insert(certificate, side, position, event.time);
            }
        }
    }

    /// Every place, latest expiry first: of two with the same attributes the gauge
    /// keeps the last value, which must be the earlier expiry.
    pub(crate) fn observe(&mut self) -> Vec<CertificateObservation> {
        self.forget();
        let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, shown) in &self.shown {
            let serial = self.by_serial.then_some(key.sha256);
            let place = (key.role, &shown.identity, serial);
            places.entry(place).or_default().push((key, shown));
        }
        let places = places
            .values()
            .filter_map(|place| self.observe_place(place));
        let mut observations: Vec<_> = places.collect();
        observations.sort_by_key(|place| std::cmp::Reverse(place.validity.not_after));
        observations
    }

    /// What is served in one place; `None` if nothing was ever shown there.
    fn observe_place(
        &self,
        place: &[(&TableKey, &ShownCertificate)],
    ) -> Option<CertificateObservation> {
        let mut algorithms: HashMap<_, Vec<_>, RandomState> = HashMap::default();
        for (key, shown) in place {
            let same = algorithms.entry(shown.algorithm).or_default();
            same.push((*key, *shown));
        }
        let mut earliest: Option<(&TableKey, &ShownCertificate)> = None;
        let mut variants = 0;
        for same in algorithms.values() {
            let newest = same.iter().map(|(_, shown)| shown.issued()).max();
            let served = same.iter().filter(|(_, shown)| {
                Some(shown.issued()) == newest
                    || self.age(shown).is_none_or(|age| age <= SUPERSEDED_MEMORY)
            });
            variants = variants.max(served.clone().count());
            let served = served.copied().chain(earliest);
            earliest = served.min_by_key(|(key, shown)| (shown.validity.not_after, **key));
        }
        let (_, earliest) = earliest?;
        Some(CertificateObservation {
            variants: variants as u64,
            ..CertificateObservation::new(earliest.validity, self.judged_at, &earliest.attributes)
        })
    }

    /// Time since a certificate was last shown; `None` if the clock was set back since.
    fn age(&self, shown: &ShownCertificate) -> Option<Duration> {
        self.now.checked_since(shown.last)
    }

    fn forget(&mut self) {
        let (Some(memory), now) = (self.memory, self.now) else {
            return;
        };
        self.shown.retain(|_, shown| {
            let memory = memory.min(shown.memory());
            now.checked_since(shown.last)
                .is_none_or(|age| age <= memory)
        });
    }

    /// Drops the certificates that matter least: those shown once, and not for the longest
    /// time. Neither a flood of names nor short lifetimes displace what is in use.
    fn make_room(&mut self) {
        self.forget();
        let stays = self.capacity * STAYS.0 / STAYS.1;
        if self.shown.len() <= stays {
            return;
        }
        let rank = |(key, shown): (&TableKey, &ShownCertificate)| (shown.again, shown.last, *key);
        let mut ranked: Vec<_> = self.shown.iter().map(rank).collect();
        ranked.sort_unstable();
        let excess = ranked.len() - stays;
        for (_, _, key) in ranked.iter().take(excess) {
            self.shown.remove(key);
        }
        self.evicted += excess as u64;
    }

    fn insert(&mut self, certificate: &Certificate, side: Side, position: usize, time: Timestamp) {
        let Ok(facts) = &certificate.facts else {
            return;
        };
        let key = TableKey {
            sha256: certificate.sha256,
            role: CertificateRole::new(side, position, facts.self_signed),
        };
        if let Some(shown) = self.shown.get_mut(&key) {
            shown.last = shown.last.max(time);
            shown.again = true;
            return;
        }
        if self.shown.len() >= self.capacity {
            self.make_room();
        }
        let serial = self.by_serial;
        let shown = ShownCertificate {
            identity: label(&facts.identity()).into(),
            attributes: attributes(facts, key.role.as_str(), None, serial),
            validity: Validity::of(facts),
            algorithm: discriminant(&facts.key),
            last: time,
            again: false,
        };
        self.shown.insert(key, shown);
    }
}

impl ShownCertificate {
    /// Orders the certificates of a place by when they were issued.
    const fn issued(&self) -> (CertificateTime, CertificateTime) {
        (self.validity.not_before, self.validity.not_after)
    }

    /// How long it is remembered after it was last shown.
    fn memory(&self) -> Duration {
        let Validity {
            not_before,
            not_after,
        } = self.validity;
        let lifetime = not_after.seconds_since(not_before);
        let lifetime = u64::try_from(lifetime).unwrap_or_default();
        SHORTEST_MEMORY.max(Duration::from_secs(lifetime / REMEMBERED_PART))
    }
}

/// The attributes of a certificate; `path` is the file that contains it. Sorted by key,
/// since the SDK stores an unsorted list twice.
pub(crate) fn attributes(
    facts: &CertificateFacts,
    role: &'static str,
    path: Option<&str>,
    with_serial: bool,
) -> Arc<[KeyValue]> {
    let serial = || KeyValue::new("certificate.serial", label(&facts.serial));
    let attributes = [
        Some(KeyValue::new(
            "certificate.identity",
            label(&facts.identity()),
        )),
        Some(KeyValue::new("certificate.issuer", label(issuer(facts)))),
        path.map(|path| KeyValue::new("certificate.path", label(path))),
        Some(KeyValue::new("certificate.role", role)),
        with_serial.then(serial),
        Some(KeyValue::new("certificate.subject", label(&subject(facts)))),
    ];
    attributes.into_iter().flatten().collect()
}

/// The common name; without one the identity, since neither public CAs nor SPIFFE need a subject.
pub(crate) fn subject(facts: &CertificateFacts) -> Cow<'_, str> {
    let name = facts.common_name.as_deref();
    let name = name.filter(|name| !name.trim().is_empty());
    name.map_or_else(|| facts.identity(), Cow::Borrowed)
}

/// The common name of the issuer, or else all of its name.
pub(crate) fn issuer(facts: &CertificateFacts) -> &str {
    facts.issuer_common_name.as_ref().unwrap_or(&facts.issuer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::{certificate, handshake, rejected_after};

    fn text(observation: &CertificateObservation, key: &str) -> String {
        let mut attributes = observation.attributes.iter();
        let found = attributes.find(|attribute| attribute.key.as_str() == key);
        found.unwrap().value.to_string()
    }

    fn subjects(table: &mut CertificateTable) -> Vec<String> {
        let observations = table.observe();
        let texts = observations.iter().map(|o| text(o, "certificate.subject"));
        texts.collect()
    }

    #[test]
    fn a_certificate_has_the_role_it_was_shown_in() {
        let mut event = handshake();
        let mut root = certificate("root", 3);
        root.facts.as_mut().unwrap().self_signed = true;
        let server = [certificate("leaf", 1), certificate("issuing", 2), root];
        event.server_certificates = Some(server.map(Arc::new).into());
        event.client_certificates = Some([certificate("leaf", 1)].map(Arc::new).into());
        let mut table = CertificateTable::new(9, None, false);
        table.record(&event);
        table.record(&event);
        let observations = table.observe();
        let roles = observations.iter().map(|o| text(o, "certificate.role"));
        assert_eq!(
            roles.collect::<Vec<_>>(),
            ["root", "intermediate", "server", "client"]
        );
    }

    /// A scan with an expired certificate raised an alert that it is in use.
    #[test]
    fn a_client_certificate_that_the_server_refuses_is_not_in_use() {
        let shown = |change: fn(&mut Handshake)| {
            let mut event = handshake();
            event.client_certificates = Some([certificate("scanner", 1)].map(Arc::new).into());
            change(&mut event);
            let mut table = CertificateTable::new(9, None, false);
            table.record(&event);
            subjects(&mut table)
        };
        assert_eq!(shown(|_| {}), ["scanner"]);
        assert_eq!(shown(|event| event.outcome = Outcome::Unknown), ["scanner"]);
        assert!(shown(|event| event.outcome = Outcome::Failure).is_empty());
        assert!(shown(|event| event.rejected_after = Some(Box::new(rejected_after()))).is_empty());
    }

    #[test]
    fn days_are_counted_from_the_latest_validation_and_become_negative() {
        let mut table = CertificateTable::new(9, None, false);
        let mut event = handshake();
        event.server_certificates = Some([certificate("a", 86_400)].map(Arc::new).into());
        let days = |table: &mut CertificateTable| table.observe()[0].days_until_expiry;
        event.judged_at = Timestamp::from_seconds(43_200);
        table.record(&event);
        assert_eq!(days(&mut table), 0.5);
        event.judged_at = Timestamp::from_seconds(3 * 86_400);
        table.record(&event);
        assert_eq!(days(&mut table), -2.0);
        event.judged_at = Timestamp::from_seconds(0);
        table.record(&event);
        assert_eq!(days(&mut table), -2.0, "merged captures run backwards");
    }

    #[test]
    fn days_pass_while_no_certificate_is_shown() {
        let mut table = CertificateTable::new(9, None, false);
        let mut event = handshake();
        event.server_certificates = Some([certificate("a", 86_400)].map(Arc::new).into());
        table.record(&event);
        table.tick(Timestamp::from_seconds(43_200));
        assert_eq!(table.observe()[0].days_until_expiry, 0.5);
    }

    #[test]
    fn a_clock_that_was_ahead_does_no_harm_once_it_is_set() {
        let mut table = CertificateTable::new(9, Some(Duration::from_secs(100)), false);
        let mut event = handshake();
        event.time = Timestamp::from_seconds(1_000_000);
        event.judged_at = event.time;
        table.record(&event);
        table.tick(Timestamp::from_seconds(43_200));
        event.time = Timestamp::from_seconds(43_200);
        event.judged_at = event.time;
        event.server_certificates = Some([certificate("a", 86_400)].map(Arc::new).into());
        table.record(&event);
        let observed = table.observe();
        assert_eq!(observed.len(), 1);
        assert_eq!(observed[0].days_until_expiry, 0.5);
    }

    #[test]
    fn a_certificate_not_shown_for_long_is_dropped() {
        let mut table = CertificateTable::new(9, Some(Duration::from_secs(100)), false);
        for (name, time) in [("a", 0), ("b", 0), ("b", 60)] {
            let mut event = handshake();
            event.time = Timestamp::from_seconds(time);
            event.server_certificates = Some([certificate(name, 10)].map(Arc::new).into());
            table.record(&event);
        }
        table.tick(Timestamp::from_seconds(100));
        assert_eq!(subjects(&mut table), ["a", "b"]);
        table.tick(Timestamp::from_seconds(101));
        assert_eq!(subjects(&mut table), ["b"]);
        table.tick(Timestamp::from_seconds(161));
        assert!(subjects(&mut table).is_empty());
    }

    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;

    /// A certificate of `web` that is valid from one moment to another; its key is `key`.
    fn issued(from: i64, to: i64, key: PublicKey) -> Certificate {
        let mut certificate = certificate("web", to);
        let facts = certificate.facts.as_mut().unwrap();
        (facts.not_before, facts.key) = (CertificateTime(from), key);
        certificate.sha256[24..].copy_from_slice(&from.to_be_bytes());
        certificate
    }

    fn rsa(from: i64, to: i64) -> Certificate {
        issued(from, to, PublicKey::Rsa(Some(2048)))
    }

    fn show(table: &mut CertificateTable, certificate: &Certificate, time: i64) {
        let mut event = handshake();
        event.time = Timestamp::from_seconds(time);
        event.judged_at = event.time;
        event.server_certificates = Some([Arc::new(certificate.clone())].into());
        table.record(&event);
    }

    /// The days left, and the number of variants, of the only place.
    fn only_place(table: &mut CertificateTable) -> (f64, u64) {
        match &table.observe()[..] {
            [place] => (place.days_until_expiry, place.variants),
            places => panic!("{places:?}"),
        }
    }

    fn live_table() -> CertificateTable {
        CertificateTable::new(9, Some(Duration::from_secs(86_400)), false)
    }

    #[test]
    fn after_a_rotation_the_series_goes_on_with_the_new_certificate() {
        let mut table = live_table();
        show(&mut table, &rsa(0, 90 * DAY), 60 * DAY);
        let series = table.observe()[0].attributes.clone();
        show(&mut table, &rsa(60 * DAY, 150 * DAY), 60 * DAY + 60);
        let (days, variants) = only_place(&mut table);
        assert_eq!(
            (days.round(), variants),
            (30.0, 2),
            "the old one expires first"
        );
        show(&mut table, &rsa(60 * DAY, 150 * DAY), 60 * DAY + HOUR + 1);
        let (days, variants) = only_place(&mut table);
        assert_eq!((days.round(), variants), (90.0, 1));
        assert_eq!(table.observe()[0].attributes, series);
    }

    #[test]
    fn an_old_certificate_counts_as_long_as_a_backend_serves_it() {
        let mut table = live_table();
        for hour in 0..48 {
            let time = 60 * DAY + hour * HOUR;
            show(&mut table, &rsa(0, 90 * DAY), time);
            show(&mut table, &rsa(60 * DAY, 150 * DAY), time + 60);
        }
        let (days, variants) = only_place(&mut table);
        assert_eq!((days.round(), variants), (28.0, 2));
    }

    #[test]
    fn certificates_for_two_key_algorithms_are_no_rotation() {
        let mut table = live_table();
        let ecdsa = issued(DAY, 40 * DAY, PublicKey::Ecdsa(None));
        show(&mut table, &rsa(0, 90 * DAY), 10 * DAY);
        show(&mut table, &ecdsa, 10 * DAY + 2 * HOUR);
        let (days, variants) = only_place(&mut table);
        assert_eq!((days.round(), variants), (30.0, 1));
    }

    #[test]
    fn a_certificate_is_remembered_for_a_tenth_of_its_lifetime_at_most() {
        let mut table = live_table();
        show(&mut table, &rsa(0, DAY), 0);
        table.tick(Timestamp::from_seconds(DAY / 10));
        assert_eq!(table.observe().len(), 1);
        table.tick(Timestamp::from_seconds(DAY / 10 + 1));
        assert_eq!(table.observe().len(), 0);
    }

    #[test]
    fn serial_numbers_make_places_where_asked_for() {
        let mut table = CertificateTable::new(9, None, true);
        show(&mut table, &rsa(0, 90 * DAY), 60 * DAY);
        show(&mut table, &rsa(60 * DAY, 150 * DAY), 60 * DAY);
        let places = table.observe();
        assert_eq!(places.len(), 2);
        assert_eq!(text(&places[0], "certificate.serial"), "0a");
    }

    #[test]
    fn a_full_table_keeps_what_was_shown_again_and_counts_the_rest() {
        let mut table = CertificateTable::new(8, None, false);
        for time in 0..2 {
            show(&mut table, &certificate("old", 400 * DAY), time);
        }
        for number in 0..100 {
            show(
                &mut table,
                &certificate(&number.to_string(), DAY),
                10 + number,
            );
        }
        let subjects = subjects(&mut table);
        assert_eq!(
            subjects[0], "old",
            "long-lived, shown twice, and not seen since"
        );
        assert!(subjects.len() <= 8, "{subjects:?}");
        assert_eq!(table.evicted() as usize + subjects.len(), 101);
    }

    #[test]
    fn without_a_common_name_the_subject_is_the_identity() {
        let mut facts = certificate("cn", 0).facts.unwrap();
        facts.uris = vec!["spiffe://example.org/web".to_owned()];
        assert_eq!(subject(&facts), "cn");
        facts.common_name = None;
        assert_eq!(subject(&facts), "spiffe://example.org/web");
    }
}
