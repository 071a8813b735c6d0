//! Which handshakes a user asks for.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use crate::certificate::{Certificate, CertificateTime};
use crate::event::{CertificateChain, ErrorType, Handshake, NotTls, NotTlsKind, Outcome, Protocol};
use crate::flow::Endpoint;
use crate::pattern::{Glob, IpNetwork};
use crate::time::Timestamp;
use crate::tls::{ProtocolVersion, is_grease};

/// Which handshakes a user asks for: those that match an item of every list that is not empty, within the time given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// Patterns for the server name in the ClientHello; a handshake without one matches none.
    pub server_names: Vec<Glob>,
    /// Clients, by address or by the names in their certificate.
    pub clients: Vec<Peer>,
    /// Servers, by address or by name.
    pub servers: Vec<Peer>,
    /// Ports of the server.
    pub ports: Vec<u16>,
    /// Outcomes.
    pub outcomes: Vec<Outcome>,
    /// Causes of failures, and of refusals after the handshake.
    pub errors: Vec<ErrorType>,
    /// Protocols.
    pub protocols: Vec<Protocol>,
    /// Patterns for the user's name of a login over EAP; a handshake of another protocol matches none.
    pub user_names: Vec<Glob>,
    /// Patterns for the device of a login over EAP, however hardware addresses are written.
    pub calling_station_ids: Vec<Glob>,
    /// Certificate findings.
    pub findings: Vec<ErrorType>,
    /// Handshakes with a certificate that expires within this time after it was validated, or has expired.
    pub expires_within: Option<Duration>,
    /// Versions that the server selected; of handshakes without one, the highest that the client offered.
    pub versions: Vec<ProtocolVersion>,
    /// Handshakes that began then or later.
    pub since: Option<Moment>,
    /// Handshakes that began before.
    pub until: Option<Moment>,
}

impl Selection {
    /// Whether it selects everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it selects `event`.
    #[must_use]
    pub fn selects(&self, event: &Handshake) -> bool {
        let name = event.tls.server_name.as_deref();
        let refused = event.error.as_ref().map(|error| error.error_type);
        let rejected = event.rejected_after.as_ref().map(|after| after.error_type);
        self.is_within(event.time)
            && fits(&self.ports, |port| *port == event.server.port)
            && fits(&self.outcomes, |outcome| *outcome == event.outcome)
            && fits(&self.errors, |error| {
                [refused, rejected].contains(&Some(*error))
            })
            && fits(&self.protocols, |protocol| *protocol == event.protocol)
            && fits(&self.user_names, |glob| {
                let user = event.eap.as_ref().and_then(|eap| eap.user_name.as_deref());
                user.is_some_and(|user| glob.matches(user))
            })
            && fits(&self.calling_station_ids, |glob| is_station_of(glob, event))
            && fits(&self.findings, |class| {
                let mut found = event.validation.iter();
                found.any(|finding| finding.error_type == *class)
            })
            && self
                .expires_within
                .is_none_or(|time| expires_within(event, time))
            && fits(&self.versions, |version| {
                version_of(event) == Some(*version)
            })
            && fits(&self.server_names, |glob| {
                name.is_some_and(|name| glob.matches(name))
            })
            && fits(&self.servers, |peer| peer.is_server_of(event))
            && fits(&self.clients, |peer| peer.is_client_of(event))
    }

    /// Whether it selects a connection without TLS. That has no names, and its outcome is a failure if a side was refused.
    #[must_use]
    pub fn selects_not_tls(&self, event: &NotTls) -> bool {
        let errors: &[ErrorType] = match event.kind {
            NotTlsKind::Plaintext => &[ErrorType::NotTls],
            NotTlsKind::StartTlsRefused => &[ErrorType::NotTls, ErrorType::StartTlsRefused],
            NotTlsKind::SilentProbe => &[], // a probe fails at nothing
        };
        let has_failed = event.error_type().is_some();
        self.is_within(event.time)
            && fits(&self.outcomes, |outcome| {
                has_failed && *outcome == Outcome::Failure
            })
            && fits(&self.protocols, |protocol| *protocol == Protocol::Tls)
            && self.versions.is_empty()
            && self.user_names.is_empty()
            && self.calling_station_ids.is_empty()
            && self.findings.is_empty()
            && self.expires_within.is_none()
            && self.server_names.is_empty()
            && fits(&self.errors, |selected| errors.contains(selected))
            && fits(&self.ports, |port| *port == event.server.port)
            && fits(&self.servers, |peer| peer.is_at(event.server))
            && fits(&self.clients, |peer| peer.is_at(event.client))
    }

    fn is_within(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| !since.is_after(time))
            && self.until.is_none_or(|until| until.is_after(time))
    }
}

/// Whether the device of a login over EAP fits a pattern.
pub(in crate::sink) fn is_station_of(glob: &Glob, event: &Handshake) -> bool {
    let eap = event.eap.as_ref();
    let station = eap.and_then(|eap| eap.calling_station_id.as_deref());
    station.is_some_and(|station| glob.matches_station(station))
}

/// The version that was agreed on, or else the highest that the client offered: what a server refused is a version, too.
fn version_of(event: &Handshake) -> Option<ProtocolVersion> {
    let offered = || {
        let offered = event
            .tls
            .offered_versions
            .as_deref()
            .unwrap_or_default()
            .iter()
            .copied();
        offered
            .filter(|version| !is_grease(version.0))
            .max_by_key(|version| version.as_tls().0)
    };
    event.tls.version.or_else(offered)
}

/// Whether either side shows a certificate that is no longer valid `time` after the moment at which it was validated.
fn expires_within(event: &Handshake, time: Duration) -> bool {
    let end = CertificateTime::from(event.judged_at.saturating_add(time));
    let chains = [&event.server_certificates, &event.client_certificates];
    let certificates = chains.into_iter().flatten().flat_map(|chain| chain.iter());
    let mut facts = certificates.filter_map(|certificate| certificate.facts.as_ref().ok());
    facts.any(|facts| facts.not_after <= end)
}

fn fits<T>(list: &[T], fits: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

/// A client or a server, as people write it: an address, a network, an endpoint, or a pattern for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address, or all addresses of a network.
    Network(IpNetwork),
    /// An address and a port.
    Endpoint(Endpoint),
    /// A pattern for a name.
    Name(Glob),
}

impl Peer {
    /// Whether it is the client of `event`: at its address, or named in its certificate.
    #[must_use]
    pub fn is_client_of(&self, event: &Handshake) -> bool {
        self.is_at(event.client) || self.names_leaf(event.client_certificates.as_ref())
    }

    /// Whether it is the server of `event`: at its address, or the name that the client asked for. A server that was
    /// asked for by no name has those in its certificate.
    #[must_use]
    pub fn is_server_of(&self, event: &Handshake) -> bool {
        self.is_at(event.server)
            || match (self, event.tls.server_name.as_deref()) {
                (Self::Name(glob), Some(name)) => glob.matches(name),
                (_, None) => self.names_leaf(event.server_certificates.as_ref()),
                (_, Some(_)) => false,
            }
    }

    fn is_at(&self, endpoint: Endpoint) -> bool {
        match self {
            Self::Network(network) => network.contains(endpoint.address),
            Self::Endpoint(own) => *own == endpoint,
            Self::Name(_) => false,
        }
    }

    fn names_leaf(&self, chain: Option<&CertificateChain>) -> bool {
        let leaf = chain.and_then(|chain| chain.first()).map(|leaf| &**leaf);
        let (
            Self::Name(glob),
            Some(Certificate {
                facts: Ok(facts), ..
            }),
        ) = (self, leaf)
        else {
            return false;
        };
        let mut names = facts.alternative_names();
        names.any(|name| glob.matches(&name))
            || facts.common_name.iter().any(|name| glob.matches(name))
            || glob.matches(&facts.subject)
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(endpoint) = text.parse::<SocketAddr>() {
            return Ok(Self::Endpoint(Endpoint::new(
                endpoint.ip(),
                endpoint.port(),
            )));
        }
        let address = text.split_once('/').map_or(text, |(address, _)| address);
        let has_only = |allowed: fn(char) -> bool| !text.is_empty() && text.chars().all(allowed);
        if address.parse::<IpAddr>().is_ok()
            || has_only(|c| c.is_ascii_digit() || ".:/".contains(c))
        {
            return text.parse().map(Self::Network);
        }
        match text {
            "" => Err("neither an address, a network nor a name".to_owned()),
            name => Ok(Self::Name(Glob::new(name))),
        }
    }
}

/// A moment as people write it: a point in time, or a time of day on every day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A point in time.
    Time(Timestamp),
    /// A time of day in UTC.
    OfDay(Time),
}

impl Moment {
    /// Whether no handshake can begin at `self` or later, and before `until`. A time of day and a point in time are not compared.
    #[must_use]
    pub fn is_at_or_after(self, until: Self) -> bool {
        match (self, until) {
            (Self::Time(since), Self::Time(until)) => since >= until,
            (Self::OfDay(since), Self::OfDay(until)) => since >= until,
            _ => false,
        }
    }

    /// Whether it comes after `time`; a time of day, on the day of `time`.
    fn is_after(self, time: Timestamp) -> bool {
        match self {
            Self::Time(moment) => moment > time,
            Self::OfDay(moment) => moment > time.date_time().time(),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let with_zone = text.parse::<jiff::Timestamp>().ok();
        let in_utc = || {
            let date = text.parse::<Date>().ok().map(DateTime::from);
            let time = text.parse::<DateTime>().ok().or(date)?;
            Offset::UTC.to_timestamp(time).ok()
        };
        if let Some(time) = with_zone.or_else(in_utc) {
            return i64::try_from(time.as_nanosecond())
                .map(|nanoseconds| Self::Time(Timestamp::from_nanoseconds(nanoseconds)))
                .map_err(|_| "not between the years 1678 and 2261".to_owned());
        }
        let time = text.parse().or_else(|_| format!("0{text}").parse::<Time>()); // `9:00`
        time.map(Self::OfDay).map_err(|_| {
            "not a time as in `2026-03-01T12:00:00Z`, `2026-03-01 12:00`, `2026-03-01` or `12:00:05`"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    fn peer(text: &str) -> Peer {
        text.parse().unwrap()
    }

    /// Whether `change` leaves a refused handshake selected: from 10.0.0.1:51234 to example.org at 10.0.0.2:443, at noon.
    fn selects(change: impl FnOnce(&mut Selection)) -> bool {
        let mut selection = Selection::default();
        change(&mut selection);
        selection.selects(&test_events::refused_by_the_client())
    }

    #[test]
    fn every_list_must_have_a_match() {
        assert!(selects(|_| {}) && Selection::default().is_everything());
        assert!(selects(|s| s.ports = vec![8443, 443]));
        assert!(!selects(|s| s.ports = vec![8443]));
        assert!(selects(
            |s| s.protocols = vec![Protocol::Dtls, Protocol::Tls]
        ));
        assert!(!selects(|s| s.protocols = vec![Protocol::Dtls]));
        assert!(selects(|s| s.errors = vec![ErrorType::UnknownCa]));
        assert!(!selects(|s| s.errors = vec![ErrorType::NearExpiry]));
        assert!(selects(|s| s.versions = vec![ProtocolVersion::TLSv1_2]));
        assert!(!selects(|s| s.outcomes = vec![Outcome::Success]));
        assert!(selects(|s| s.server_names = vec![Glob::new("*.ORG")]));
        assert!(!selects(|s| {
            s.ports = vec![443];
            s.versions = vec![ProtocolVersion::TLSv1_3];
        }));
    }

    #[test]
    fn a_version_selects_what_was_agreed_on_or_else_the_highest_that_was_offered() {
        let mut event = test_events::refused_by_the_client();
        let selects = |event: &Handshake, version| {
            let selection = Selection {
                versions: vec![version],
                ..Selection::default()
            };
            selection.selects(event)
        };
        let offered = [ProtocolVersion(0x7a7a), ProtocolVersion::TLSv1_0];
        event.tls.offered_versions = Some(offered.into());
        assert!(!selects(&event, ProtocolVersion::TLSv1_0)); // TLS 1.2 was agreed on
        event.tls.version = None;
        assert!(selects(&event, ProtocolVersion::TLSv1_0));
        assert!(!selects(&event, ProtocolVersion(0x7a7a))); // GREASE
        let offered = [ProtocolVersion::DTLSv1_0, ProtocolVersion::DTLSv1_2];
        event.tls.offered_versions = Some(offered.into());
        assert!(selects(&event, ProtocolVersion::DTLSv1_2));
        event.tls.offered_versions = None;
        assert!(!selects(&event, ProtocolVersion::TLSv1_0));
    }

    #[test]
    fn certificates_are_selected_by_findings_and_by_the_time_that_is_left() {
        assert!(selects(|s| s.findings = vec![ErrorType::NearExpiry]));
        assert!(!selects(|s| s.findings = vec![ErrorType::WeakKey]));
        // The leaf expires in 12.5 days.
        for (days, expected) in [(0, false), (12, false), (13, true)] {
            let time = Duration::from_secs(days * 86_400);
            assert_eq!(selects(|s| s.expires_within = Some(time)), expected);
        }
    }

    #[test]
    fn peers_are_addresses_networks_endpoints_and_names() {
        for client in ["10.0.0.1", "10.0.0.0/24", "10.0.0.1:51234"] {
            assert!(selects(|s| s.clients = vec![peer(client)]), "{client}");
            assert!(!selects(
                |s| s.servers = vec![peer("10.0.0.3"), peer("10.0.0.2:444")]
            ));
        }
        assert!(selects(|s| s.servers = vec![peer("EXAMPLE.*")]));
        assert!(!selects(|s| s.clients = vec![peer("example.org")]));
        assert!(!selects(|s| s.clients = vec![peer("10.0.0.2/32")]));
        for wrong in [
            "",
            "10.0.0",
            "10.0.0.1/33",
            "10.0.0.1/24",
            "1.2.3.4.5",
            "::1/200",
        ] {
            assert!(wrong.parse::<Peer>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_client_has_the_names_in_its_certificate_and_a_server_without_name_too() {
        let mut event = test_events::refused_by_the_client();
        event.client_certificates = event.server_certificates.clone();
        assert!(peer("example.org").is_client_of(&event));
        assert!(!peer("example.com").is_client_of(&event));
        event.tls.server_name = Some("other.example".into());
        assert!(!peer("example.org").is_server_of(&event));
        event.tls.server_name = None;
        assert!(peer("example.org").is_server_of(&event));
    }

    #[test]
    fn since_includes_its_moment_and_until_does_not() {
        let noon = "2026-03-01T12:00:00.123456789Z";
        for (since, until, expected) in [
            (Some(noon), None, true),
            (None, Some(noon), false),
            (Some("2026-03-01"), Some("2026-03-02"), true),
            (Some("2026-03-01 12:01"), None, false),
            (Some("2026-03-01T13:00:00+01:00"), None, true),
            (Some("12:00"), Some("12:00:01"), true),
            (Some("12:01"), None, false),
            (Some("9:00"), Some("12:00"), false),
            (Some("9:00"), None, true),
        ] {
            let moment = |text: &str| text.parse::<Moment>().unwrap();
            let is_selected = selects(|s| {
                s.since = since.map(moment);
                s.until = until.map(moment);
            });
            assert_eq!(is_selected, expected, "{since:?} {until:?}");
        }
        for wrong in [
            "",
            "yesterday",
            "25:00",
            "2026-13-01",
            "1:2",
            "9999-01-01T00:00:00Z",
        ] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn connections_without_tls_are_selected_by_peers_time_and_cause() {
        let event = test_events::refused_starttls();
        let mut selection = Selection::default();
        assert!(selection.selects_not_tls(&event));
        selection.clients = vec![peer("10.0.0.1")];
        selection.errors = vec![ErrorType::NotTls];
        assert!(selection.selects_not_tls(&event));
        selection.outcomes = vec![Outcome::Success];
        assert!(!selection.selects_not_tls(&event));
    }

    #[test]
    fn logins_are_selected_by_user_and_by_device_however_its_address_is_written() {
        let mut event = test_events::completed();
        let selects = |event: &Handshake, user: Option<&str>, station: Option<&str>| {
            let globs = |text: Option<&str>| text.iter().map(|text| Glob::new(text)).collect();
            let selection = Selection {
                user_names: globs(user),
                calling_station_ids: globs(station),
                ..Selection::default()
            };
            selection.selects(event)
        };
        assert!(!selects(&event, Some("*"), None) && !selects(&event, None, Some("*")));
        let eap = crate::event::EapFacts {
            user_name: Some("alice@example.org".to_owned()),
            calling_station_id: Some("02-00-5E-10-00-01".to_owned()),
            ..Default::default()
        };
        event.eap = Some(Box::new(eap));
        assert!(selects(&event, Some("*@EXAMPLE.org"), None));
        assert!(!selects(&event, Some("bob*"), None));
        for station in [
            "02-00-5E-10-00-01",
            "02:00:5e:10:00:01",
            "0200.5e10.0001",
            "02005e100001",
            "02:00:5e:*",
        ] {
            assert!(selects(&event, None, Some(station)), "{station}");
        }
        assert!(!selects(&event, None, Some("02:00:5e:10:00:02")));
        assert!(!selects(&event, Some("bob"), Some("02:00:5e:10:00:01")));
        event.eap.as_mut().unwrap().calling_station_id = Some("10.0.0.1".to_owned());
        assert!(selects(&event, None, Some("10.0.0.1")));
        assert!(
            !selects(&event, None, Some("100.0.1")),
            "no hardware address"
        );
    }

    #[test]
    fn a_refusal_of_tls_is_a_failure_and_a_client_that_did_not_ask_for_tls_has_not_failed() {
        let mut event = test_events::refused_starttls();
        let failures = Selection {
            outcomes: vec![Outcome::Unknown, Outcome::Failure],
            ..Selection::default()
        };
        assert!(failures.selects_not_tls(&event));
        event.kind = NotTlsKind::Plaintext;
        assert!(!failures.selects_not_tls(&event));
        event.starttls = None; // plain text where TLS is spoken from the first byte
        assert!(failures.selects_not_tls(&event));
        event.kind = NotTlsKind::SilentProbe;
        assert!(!failures.selects_not_tls(&event));
    }
}
