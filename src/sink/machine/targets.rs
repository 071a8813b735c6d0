//! The TLS endpoints of a run as targets for Prometheus: its `file_sd` and `http_sd` format, or plain text.
//!
//! TLS 1.3 hides certificates from a passive observer. A probe that connects sees them, and this list tells it where.
//! `docs/targets.md` has the configuration of `blackbox_exporter`.
//!
//! ```json
//! [
//!   {
//!     "targets": ["example.org:443"],
//!     "labels": {
//!       "__meta_tlscope_server_name": "example.org",
//!       "__meta_tlscope_addresses": ",10.0.0.2,",
//!       "__meta_tlscope_versions": ",TLS 1.3,",
//!       "__meta_tlscope_certificate": "hidden",
//!       "__meta_tlscope_client_certificate": "not_requested"
//!     }
//!   }
//! ]
//! ```
//!
//! Only TCP endpoints are listed, since no prober speaks DTLS, and QUIC has its own. An endpoint whose server never sent a
//! ServerHello is not listed: nothing shows which version it speaks.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::services::{MAX_SERVICES, ServerCertificate, Service, ServiceKey, Services};
use crate::escape::SafeJson;
use crate::event::{ClientCertificate, Handshake};
use crate::sink::{Needs, Sink};
use crate::stats::Stats;

/// How targets are written. The doc comment of a value is its help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
#[value(rename_all = "snake_case")]
pub enum TargetFormat {
    /// JSON for Prometheus' `file_sd_configs`.
    FileSd,
    /// The same, for a web server that `http_sd_configs` asks.
    HttpSd,
    /// One `host:port` per line.
    Text,
}

/// Which endpoints become targets, and by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetSelection {
    /// Only endpoints whose certificates TLS 1.3 hides.
    pub hidden_only: bool,
    /// A target for each address, also where the endpoint has a name.
    pub by_address: bool,
}

/// Collects endpoints, and writes the targets at the end.
///
/// # Example
///
/// ```
/// use tlscope::sink::Sink;
/// use tlscope::sink::machine::targets::{TargetFormat, TargetSelection, TargetsSink};
/// use tlscope::stats::Stats;
///
/// let mut output = Vec::new();
/// let mut sink = TargetsSink::new(&mut output, TargetFormat::FileSd, TargetSelection::default());
/// sink.finish(&Stats::default())?;
/// assert_eq!(output, b"[]\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TargetsSink<W> {
    output: W,
    format: TargetFormat,
    hidden_only: bool,
    services: Services,
}

impl<W: Write> TargetsSink<W> {
    /// Writes to `output`, which should have a buffer.
    #[must_use]
    pub fn new(output: W, format: TargetFormat, selection: TargetSelection) -> Self {
        Self {
            output,
            format,
            hidden_only: selection.hidden_only,
            services: match selection.by_address {
                true => Services::by_address(),
                false => Services::default(),
            },
        }
    }

    /// What the list lacks, a clause for each reason.
    #[must_use]
    pub fn omissions(&self) -> Vec<String> {
        let mut omissions = Vec::new();
        let over_udp = self
            .services
            .iter()
            .filter(|(key, _)| !key.is_tcp())
            .count();
        if over_udp > 0 {
            let endpoints = match over_udp {
                1 => "1 endpoint over UDP is".to_owned(),
                _ => format!("{over_udp} endpoints over UDP are"),
            };
            omissions.push(format!("{endpoints} not listed: DTLS and QUIC"));
        }
        if self.services.omitted > 0 {
            let handshakes = self.services.omitted;
            omissions.push(format!(
                "the list stops at {MAX_SERVICES} endpoints; others had {handshakes} handshakes"
            ));
        }
        omissions
    }

    /// Whether any endpoint can be a target, hidden or not.
    #[must_use]
    pub fn has_endpoints(&self) -> bool {
        selected(&self.services, false).next().is_some()
    }

    /// Why the list is empty, as a clause; `None` if it is not empty.
    #[must_use]
    pub fn emptiness(&self) -> Option<String> {
        if selected(&self.services, self.hidden_only).next().is_some() {
            return None;
        }
        let tcp = || selected(&self.services, false);
        let endpoints = tcp().count();
        if endpoints == 0 {
            return Some("no server sent a ServerHello over TCP".to_owned());
        }
        let is_unseen =
            |service: &Service| service.server_certificate() == ServerCertificate::NotSeen;
        let unseen = tcp().filter(|(_, service)| is_unseen(service)).count();
        Some(match (endpoints - unseen, unseen) {
            (1, 0) => "the only endpoint shows its certificate".to_owned(),
            (visible, 0) => format!("all {visible} endpoints show their certificates"),
            (visible, unseen) => format!(
                "no endpoint hides its certificate: {visible} show it, and {unseen} only resumed sessions or ended before it"
            ),
        })
    }
}

/// The targets as JSON, for an endpoint that `http_sd_configs` asks.
#[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "for live metrics"))]
pub(crate) fn json(services: &Services, hidden_only: bool) -> String {
    let groups = selected(services, hidden_only);
    let groups: Vec<Group> = groups
        .map(|(key, service)| Group::new(key, service))
        .collect();
    serde_json::to_string(&groups).unwrap_or_else(|_| "[]".to_owned()) // strings and lists of strings serialise
}

fn selected(
    services: &Services,
    hidden_only: bool,
) -> impl Iterator<Item = (&ServiceKey, &Service)> {
    let tcp = services.iter().filter(|(key, _)| key.is_tcp());
    tcp.filter(move |(_, service)| {
        !hidden_only || service.server_certificate() == ServerCertificate::Hidden
    })
}

impl<W: Write> Sink for TargetsSink<W> {
    fn needs(&self) -> Needs {
        Needs {
            fingerprints: false,
            ..Needs::ALL
        }
    }

    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.services.record(event);
        Ok(())
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        let groups: Vec<Group> = selected(&self.services, self.hidden_only)
            .map(|(key, service)| Group::new(key, service))
            .collect();
        match self.format {
            TargetFormat::Text => {
                // Names that share an address and a port are one line.
                let targets = groups.into_iter().map(
                    |Group {
                         targets: [target], ..
                     }| target,
                );
                let targets: BTreeSet<String> = targets.collect();
                for target in targets {
                    writeln!(self.output, "{target}")?;
                }
            }
            TargetFormat::FileSd | TargetFormat::HttpSd => {
                serde_json::to_writer_pretty(SafeJson(&mut self.output), &groups)?;
                writeln!(self.output)?;
            }
        }
        self.output.flush()
    }
}

/// One target with its labels.
#[derive(Serialize)]
struct Group {
    targets: [String; 1],
    labels: Labels,
}

/// Prometheus drops labels that begin with `__` once relabelling has used them.
///
/// Lists begin and end with their separator, so that a regular expression for one value needs no case for the ends.
#[derive(Serialize)]
struct Labels {
    #[serde(
        rename = "__meta_tlscope_server_name",
        skip_serializing_if = "Option::is_none"
    )]
    server_name: Option<String>,
    #[serde(rename = "__meta_tlscope_addresses")]
    addresses: String,
    #[serde(rename = "__meta_tlscope_versions")]
    versions: String,
    #[serde(rename = "__meta_tlscope_certificate")]
    certificate: &'static str,
    #[serde(rename = "__meta_tlscope_client_certificate")]
    client_certificate: &'static str,
    #[serde(
        rename = "__meta_tlscope_starttls",
        skip_serializing_if = "Option::is_none"
    )]
    starttls: Option<&'static str>,
}

impl Group {
    fn new(key: &ServiceKey, service: &Service) -> Self {
        Self {
            targets: [key.host_and_port()],
            labels: Labels {
                server_name: key.name.clone(),
                addresses: list(&service.addresses),
                versions: list(
                    service
                        .versions()
                        .into_iter()
                        .map(|version| version.to_string()),
                ),
                certificate: service.server_certificate().as_str(),
                client_certificate: client_certificate(service),
                starttls: service.starttls.map(|starttls| starttls.as_str()),
            },
        }
    }
}

fn list(values: impl IntoIterator<Item: Display>) -> String {
    let mut text = String::from(",");
    for value in values {
        let _ = write!(text, "{value},"); // a string takes everything
    }
    text
}

/// Whether a prober needs a client certificate: `requested` if the server asked any client for one.
fn client_certificate(service: &Service) -> &'static str {
    let count = |state: ClientCertificate| {
        let states = ClientCertificate::ALL
            .iter()
            .zip(service.client_certificates);
        let mut count = states.filter(|(known, count)| **known == state && *count > 0);
        count.next().is_some()
    };
    let is_requested = count(ClientCertificate::Requested)
        || count(ClientCertificate::Absent)
        || count(ClientCertificate::Presented);
    match (is_requested, count(ClientCertificate::NotRequested)) {
        (true, _) => "requested",
        (false, true) => "not_requested",
        (false, false) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::Value;

    use super::*;
    use crate::dialogue::StartTls;
    use crate::event::{Protocol, Transport};
    use crate::sink::test_events;
    use crate::tls::ProtocolVersion;

    /// TLS 1.3 without keys.
    fn hidden() -> Handshake {
        let mut event = test_events::completed();
        event.tls.resumed = Some(false);
        event.tls.client_certificate = ClientCertificate::NotRequested;
        event
    }

    fn written(events: &[Handshake], format: TargetFormat, selection: TargetSelection) -> String {
        let mut output = Vec::new();
        let mut sink = TargetsSink::new(&mut output, format, selection);
        for event in events {
            sink.handshake(event).unwrap();
        }
        sink.finish(&Stats::default()).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn lines(events: &[Handshake], selection: TargetSelection) -> Vec<String> {
        let text = written(events, TargetFormat::Text, selection);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_target_is_as_documented() {
        let source = include_str!("targets.rs");
        let (_, rest) = source.split_once("//! ```json\n").unwrap();
        let (example, _) = rest.split_once("//! ```\n").unwrap();
        let expected: Value = serde_json::from_str(&example.replace("//!", "")).unwrap();
        for format in [TargetFormat::FileSd, TargetFormat::HttpSd] {
            let text = written(&[hidden()], format, TargetSelection::default());
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        }
    }

    #[test]
    fn without_a_usable_name_the_target_is_the_address() {
        let mut events = [hidden(), hidden(), hidden(), hidden()];
        events[0].tls.server_name = None;
        events[1].tls.server_name = None;
        events[1].server.address = "2001:db8::1".parse().unwrap();
        events[2].tls.server_name = Some("a/b".into());
        events[3].tls.server_name = Some("WWW.Example.org.".into());
        let expected = ["10.0.0.2:443", "[2001:db8::1]:443", "www.example.org:443"];
        assert_eq!(lines(&events, TargetSelection::default()), expected);
    }

    #[test]
    fn an_empty_list_says_why() {
        let emptiness = |events: &[Handshake], hidden_only| {
            let selection = TargetSelection {
                hidden_only,
                ..TargetSelection::default()
            };
            let mut sink = TargetsSink::new(io::sink(), TargetFormat::Text, selection);
            for event in events {
                sink.handshake(event).unwrap();
            }
            sink.emptiness()
        };
        let none = emptiness(&[], false).unwrap();
        assert_eq!(none, "no server sent a ServerHello over TCP");
        let visible = test_events::refused_by_the_client();
        assert_eq!(emptiness(std::slice::from_ref(&visible), false), None);
        assert_eq!(emptiness(&[hidden()], true), None);
        let all = emptiness(std::slice::from_ref(&visible), true).unwrap();
        assert_eq!(all, "the only endpoint shows its certificate");
        let mut resumed = hidden();
        resumed.server.port = 8443;
        resumed.tls.resumed = Some(true);
        let some = emptiness(&[visible, resumed], true).unwrap();
        assert!(
            some.ends_with(": 1 show it, and 1 only resumed sessions or ended before it"),
            "{some}"
        );
    }

    #[test]
    fn hidden_selects_endpoints_that_never_showed_a_certificate() {
        let visible = test_events::refused_by_the_client();
        let mut elsewhere = hidden();
        elsewhere.server.port = 8443;
        let mut resumed = test_events::completed();
        resumed.server.port = 9443;
        let events = [hidden(), visible, elsewhere, resumed];
        let selection = TargetSelection {
            hidden_only: true,
            by_address: false,
        };
        assert_eq!(lines(&events, selection), ["example.org:8443"]);
        let all = lines(&events, TargetSelection::default());
        assert_eq!(all.len(), 3, "{all:?}");
    }

    #[test]
    fn by_address_each_backend_of_a_name_is_a_target() {
        let mut other = hidden();
        other.server.address = "10.0.0.3".parse().unwrap();
        let mut same_address = hidden();
        same_address.tls.server_name = Some("other.example.org".into());
        let events = [hidden(), other, same_address];
        let selection = TargetSelection {
            hidden_only: false,
            by_address: true,
        };
        let text = written(&events, TargetFormat::FileSd, selection);
        let groups: Value = serde_json::from_str(&text).unwrap();
        let groups = groups.as_array().unwrap();
        let found: Vec<_> = groups
            .iter()
            .map(|group| {
                let name = &group["labels"]["__meta_tlscope_server_name"];
                (
                    group["targets"][0].as_str().unwrap(),
                    name.as_str().unwrap(),
                )
            })
            .collect();
        let expected = [
            ("10.0.0.2:443", "example.org"),
            ("10.0.0.3:443", "example.org"),
            ("10.0.0.2:443", "other.example.org"),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            lines(&events, selection),
            ["10.0.0.2:443", "10.0.0.3:443"],
            "each once"
        );
    }

    #[test]
    fn endpoints_that_cannot_be_probed_are_not_listed() {
        let mut quic = hidden();
        quic.transport = Transport::Udp;
        quic.protocol = Protocol::Quic;
        let unanswered = test_events::barely_seen();
        let mut output = Vec::new();
        let selection = TargetSelection::default();
        let mut sink = TargetsSink::new(&mut output, TargetFormat::Text, selection);
        sink.handshake(&quic).unwrap();
        sink.handshake(&unanswered).unwrap();
        let omissions = sink.omissions();
        assert_eq!(
            omissions,
            ["1 endpoint over UDP is not listed: DTLS and QUIC"]
        );
        sink.finish(&Stats::default()).unwrap();
        assert_eq!(output, b"");
    }

    #[test]
    fn the_number_of_endpoints_and_addresses_is_bounded() {
        let mut sink = TargetsSink::new(io::sink(), TargetFormat::Text, TargetSelection::default());
        let mut event = hidden();
        for number in 0..MAX_SERVICES + 7 {
            event.tls.server_name = Some(format!("host-{number}.example.org").into());
            sink.handshake(&event).unwrap();
        }
        let expected = "the list stops at 20000 endpoints; others had 7 handshakes";
        assert_eq!(sink.omissions(), [expected]);
        event.tls.server_name = Some("host-0.example.org".into());
        for number in 0..100 {
            event.server.address = IpAddr::from([10, 0, 1, number]);
            sink.handshake(&event).unwrap();
        }
        let (_, service) = sink.services.iter().next().unwrap();
        assert_eq!(service.addresses.len(), 16);
        assert!(service.has_more_addresses);
        assert_eq!(sink.omissions().len(), 1, "known endpoints still count");
    }

    #[test]
    fn labels_say_what_a_prober_needs() {
        let mut old = hidden();
        old.tls.version = Some(ProtocolVersion::TLSv1_2);
        old.starttls = Some(StartTls::Smtp);
        old.tls.client_certificate = ClientCertificate::Absent;
        let selection = TargetSelection::default();
        let text = written(&[hidden(), old], TargetFormat::FileSd, selection);
        let groups: Value = serde_json::from_str(&text).unwrap();
        let labels = &groups[0]["labels"];
        assert_eq!(labels["__meta_tlscope_versions"], ",TLS 1.2,TLS 1.3,");
        assert_eq!(labels["__meta_tlscope_starttls"], "smtp");
        assert_eq!(labels["__meta_tlscope_client_certificate"], "requested");
    }
}
