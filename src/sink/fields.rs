//! Every fact of an event that fits in one value: its column in CSV, its attribute in log
//! records and spans, or both.
//!
//! A new fact is a new row here. Rows with a column go to the end, since scripts may select
//! columns by position; the order of attributes has no meaning. JSON has a structure of its
//! own: see [`super::machine::json`].

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use crate::certificate::{Certificate, CertificateFacts};
use crate::dialogue::StartTls;
use crate::event::{
    CertificateChain, EapFacts, Handshake, HandshakeError, KeyExchangeClass, LocalProcess, Outcome,
    Workload,
};
use crate::hex::Hex;

/// One fact of an event.
pub(crate) struct EventField {
    /// Its column in CSV.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only `cli` has CSV"))]
    pub(crate) column: Option<&'static str>,
    /// Its attribute, by OpenTelemetry's semantic conventions where they have one.
    #[cfg_attr(
        not(any(feature = "otel", test)),
        expect(dead_code, reason = "only `otel` and tests read attributes")
    )]
    pub(crate) attribute: Option<&'static str>,
    pub(crate) value: fn(&Handshake) -> FieldValue<'_>,
}

/// The value of an [`EventField`].
pub(crate) enum FieldValue<'a> {
    /// The capture does not show it.
    Absent,
    Flag(bool),
    Count(u64),
    Number(f64),
    /// One of a closed set of words.
    Word(&'static str),
    /// Text made by us: an address, a time, a registered name.
    Safe(String),
    /// Text from the traffic, of any length and content.
    Untrusted(&'a str),
    /// Several texts made by us.
    List(Vec<String>),
}

use FieldValue::{Count, Flag, List, Number, Safe, Untrusted, Word};

pub(crate) static FIELDS: &[EventField] = &[
    column("time", |e| safe(e.time)),
    both("source", "network.interface.name", |e| Untrusted(&e.source)),
    both("flow_id", "tlscope.flow_id", |e| {
        safe(Hex(&e.flow_id.to_be_bytes()))
    }),
    both("community_id", "tlscope.community_id", |e| {
        Safe(e.community_id())
    }),
    both("transport", "network.transport", |e| {
        Word(e.transport.as_str())
    }),
    both("protocol", "tls.protocol", |e| Word(e.protocol.as_str())),
    both("client_address", "client.address", |e| {
        safe(e.client.address)
    }),
    both("client_port", "client.port", |e| {
        Count(e.client.port.into())
    }),
    both("server_address", "destination.address", |e| {
        safe(e.server.address)
    }),
    both("server_port", "destination.port", |e| {
        Count(e.server.port.into())
    }),
    column("vlan", |e| list(&e.vlan)),
    column("tunnel", |e| list(&e.tunnel)),
    both("starttls", "tls.starttls", |e| {
        word(e.starttls.map(StartTls::as_str))
    }),
    both("outcome", "result", |e| Word(e.outcome.as_str())),
    both("evidence", "tls.evidence", |e| Word(e.evidence.as_str())),
    both("confidence", "tlscope.confidence", |e| {
        e.confidence.map_or(FieldValue::Absent, Number)
    }),
    both("error_type", "error.type", |e| {
        word(error(e).map(|error| error.error_type.as_str()))
    }),
    both("error_side", "tls.error.side", |e| {
        word(
            error(e)
                .and_then(|error| error.side)
                .map(|side| side.as_str()),
        )
    }),
    both("error_message", "error.message", |e| {
        untrusted(error(e).map(|error| error.message.as_str()))
    }),
    column("alerts", |e| {
        let alerts = e.alerts.iter().map(|alert| match alert.description {
            Some(description) => format!("{}:{description}", alert.sender),
            None => format!("{}:encrypted", alert.sender),
        });
        List(alerts.collect())
    }),
    both("closed_by", "tlscope.closed_by", |e| {
        word(e.closed_by.map(|closed| closed.as_str()))
    }),
    both("version", "tls.version", |e| maybe(e.tls.version)),
    both("cipher_suite", "tls.cipher", |e| maybe(e.tls.cipher_suite)),
    column("server_name", |e| untrusted(e.tls.server_name.as_deref())),
    column("alpn_offered", |e| {
        list(e.tls.alpn_offered.as_deref().unwrap_or_default())
    }),
    both("alpn", "tls.next_protocol", |e| {
        untrusted(e.tls.alpn.as_deref())
    }),
    both("group", "tls.curve", |e| maybe(e.tls.group)),
    both("resumed", "tls.resumed", |e| flag(e.tls.resumed)),
    column("resumption", |e| {
        word(e.tls.resumption.map(|by| by.as_str()))
    }),
    column("early_data", |e| {
        word(e.tls.early_data.map(|data| data.as_str()))
    }),
    column("hello_retry_request", |e| flag(e.tls.hello_retry_request)),
    column("ech", |e| {
        word((e.tls.ech_offered == Some(true)).then_some("offered"))
    }),
    both("client_certificate", "tls.client_certificate", |e| {
        Word(e.tls.client_certificate.as_str())
    }),
    both("unused", "tls.unused", |e| flag(e.tls.unused)),
    both("rejected_after", "tlscope.rejected_after", |e| {
        word(
            e.rejected_after
                .as_ref()
                .map(|rejected| rejected.error_type.as_str()),
        )
    }),
    both("rejected_after_by", "tlscope.rejected_after.side", |e| {
        word(
            e.rejected_after
                .as_ref()
                .map(|rejected| rejected.side.as_str()),
        )
    }),
    both("tcp_connect_ms", "tls.phase.tcp_connect", |e| {
        duration(e.timing.tcp_connect)
    }),
    both("server_hello_ms", "tls.phase.server_hello", |e| {
        duration(e.timing.server_hello)
    }),
    both("handshake_ms", "tls.phase.handshake", |e| {
        duration(e.timing.handshake)
    }),
    column("handshake_client_view_ms", |e| {
        duration(e.timing.handshake_client_view)
    }),
    column("handshake_server_view_ms", |e| {
        duration(e.timing.handshake_server_view)
    }),
    both(
        "first_application_data_ms",
        "tls.phase.first_application_data",
        |e| duration(e.timing.first_application_data),
    ),
    both("ja3", "tls.client.ja3", |e| {
        untrusted(e.fingerprint.ja3.as_deref())
    }),
    both("ja3s", "tls.server.ja3s", |e| {
        untrusted(e.fingerprint.ja3s.as_deref())
    }),
    both("ja4", "tls.client.ja4", |e| {
        untrusted(e.fingerprint.ja4.as_deref())
    }),
    both("server_subject", "tls.server.subject", |e| {
        untrusted(leaf_facts(&e.server_certificates).map(|c| c.subject.as_str()))
    }),
    attribute("tls.server.identity", |e| identity(&e.server_certificates)),
    both("server_issuer", "tls.server.issuer", |e| {
        untrusted(leaf_facts(&e.server_certificates).map(|c| c.issuer.as_str()))
    }),
    column("server_serial", |e| {
        untrusted(leaf_facts(&e.server_certificates).map(|c| c.serial.as_str()))
    }),
    both("server_not_after", "tls.server.not_after", |e| {
        maybe(leaf_facts(&e.server_certificates).map(|c| c.not_after))
    }),
    column("server_days_until_expiry", |e| {
        days_until_expiry(e, &e.server_certificates)
    }),
    column("server_sha256", |e| {
        maybe(leaf(&e.server_certificates).map(|c| Hex(&c.sha256)))
    }),
    both("client_subject", "tls.client.subject", |e| {
        untrusted(leaf_facts(&e.client_certificates).map(|c| c.subject.as_str()))
    }),
    attribute("tls.client.identity", |e| identity(&e.client_certificates)),
    both("client_issuer", "tls.client.issuer", |e| {
        untrusted(leaf_facts(&e.client_certificates).map(|c| c.issuer.as_str()))
    }),
    column("client_serial", |e| {
        untrusted(leaf_facts(&e.client_certificates).map(|c| c.serial.as_str()))
    }),
    both("client_not_after", "tls.client.not_after", |e| {
        maybe(leaf_facts(&e.client_certificates).map(|c| c.not_after))
    }),
    column("client_days_until_expiry", |e| {
        days_until_expiry(e, &e.client_certificates)
    }),
    column("client_sha256", |e| {
        maybe(leaf(&e.client_certificates).map(|c| Hex(&c.sha256)))
    }),
    both("validation", "tls.validation.errors", |e| {
        let findings = e.validation.iter();
        List(
            findings
                .map(|finding| format!("{}:{}", finding.side, finding.error_type))
                .collect(),
        )
    }),
    column("first_packet", |e| Count(e.capture.first_packet)),
    column("last_packet", |e| Count(e.capture.last_packet)),
    column("client_gap_bytes", |e| Count(e.capture.client_gap_bytes)),
    column("server_gap_bytes", |e| Count(e.capture.server_gap_bytes)),
    column("truncated", |e| Flag(e.capture.truncated)),
    column("directions", |e| Word(e.capture.directions.as_str())),
    both("unknown_because", "tlscope.unknown_because", |e| {
        word(e.unknown_because.map(|because| because.as_str()))
    }),
    both("error_hint", "tls.error.hint", |e| {
        untrusted(error(e).and_then(|error| error.hint.as_deref()))
    }),
    both("renegotiation", "tls.renegotiation", |e| {
        word(e.tls.renegotiation.map(|seen| seen.ended.as_str()))
    }),
    both("proxy", "tlscope.proxy.kind", |e| {
        word(e.proxy.as_ref().map(|proxy| proxy.kind.as_str()))
    }),
    both("proxy_client", "tlscope.proxy.client", |e| {
        maybe(e.proxy.as_ref().and_then(|proxy| proxy.client.as_ref()))
    }),
    both("proxy_server", "tlscope.proxy.server", |e| {
        maybe(e.proxy.as_ref().and_then(|proxy| proxy.server.as_ref()))
    }),
    both("starttls_ms", "tls.phase.starttls", |e| {
        duration(e.timing.starttls)
    }),
    both("eap_method", "tlscope.eap.method", |e| {
        word(eap(e).and_then(|eap| Some(eap.method?.as_str())))
    }),
    both("eap_result", "tlscope.eap.result", |e| {
        word(eap(e).and_then(|eap| Some(eap.result?.as_str())))
    }),
    both("user_name", "user.name", |e| {
        untrusted(eap(e).and_then(|eap| eap.user_name.as_deref()))
    }),
    both(
        "calling_station_id",
        "tlscope.eap.calling_station_id",
        |e| untrusted(eap(e).and_then(|eap| eap.calling_station_id.as_deref())),
    ),
    both("called_station_id", "tlscope.eap.called_station_id", |e| {
        untrusted(eap(e).and_then(|eap| eap.called_station_id.as_deref()))
    }),
    both("nas_identifier", "tlscope.eap.nas_identifier", |e| {
        untrusted(eap(e).and_then(|eap| eap.nas_identifier.as_deref()))
    }),
    // What metrics call these facts: a link from a metric to its records needs no translation.
    attribute("tls.cipher_suite", |e| maybe(e.tls.cipher_suite)),
    attribute("tls.key_exchange", |e| {
        let class = e.tls.key_exchange();
        word((class != KeyExchangeClass::Unknown).then_some(class.as_str()))
    }),
    attribute("tls.group", |e| maybe(e.tls.group)),
    attribute("tls.alpn", |e| untrusted(e.tls.alpn.as_deref())),
    attribute("remote.addr", |e| safe(e.client.address)),
    attribute("tls.established", |e| Flag(e.outcome == Outcome::Success)),
    attribute("tlscope.rule", |e| {
        word(e.inference.as_ref().map(|inference| inference.rule))
    }),
    attribute("tlscope.observations", |e| match &e.inference {
        Some(inference) => list(&inference.observations),
        None => FieldValue::Absent,
    }),
    // Unlike the column, without encrypted alerts: the conventions have no word for them.
    attribute("tls.alerts", |e| {
        let alerts = e.alerts.iter().filter_map(|alert| {
            let description = alert.description?;
            Some(format!("{}:{description}", alert.sender))
        });
        List(alerts.collect())
    }),
    // Who still offers an old version is asked of records, long before a server refuses it.
    attribute("tls.client.offered_versions", |e| {
        e.tls
            .offered_versions
            .as_deref()
            .map_or(FieldValue::Absent, list)
    }),
    attribute("file.path", |e| untrusted(e.saved_to.as_deref())),
    attribute("source.address", |e| safe(e.client.address)),
    attribute("source.port", |e| Count(e.client.port.into())),
    attribute("server.address", |e| match &e.tls.server_name {
        Some(name) => Untrusted(name),
        None => safe(e.server.address),
    }),
    attribute("server.port", |e| Count(e.server.port.into())),
    attribute("network.type", |e| {
        Word(if e.server.address.is_ipv4() {
            "ipv4"
        } else {
            "ipv6"
        })
    }),
    attribute("tls.protocol.name", |e| {
        word(e.tls.version.map(|version| version.protocol_name()))
    }),
    attribute("tls.protocol.version", |e| {
        maybe(e.tls.version.map(|version| {
            let number = version.protocol_version().map(str::to_owned);
            number.unwrap_or_else(|| version.to_string())
        }))
    }),
    attribute("tls.client.not_before", |e| {
        maybe(leaf_facts(&e.client_certificates).map(|c| c.not_before))
    }),
    attribute("tls.server.not_before", |e| {
        maybe(leaf_facts(&e.server_certificates).map(|c| c.not_before))
    }),
    // Who holds the sockets, on the observing host.
    both("client_pid", "tls.client.process.pid", |e| {
        count(e.client_process.as_ref().and_then(|process| process.pid))
    }),
    both("client_command", "tls.client.process.command", |e| {
        untrusted(
            e.client_process
                .as_ref()
                .and_then(|process| process.command.as_deref()),
        )
    }),
    both("client_container_id", "tls.client.container.id", |e| {
        untrusted(workload(&e.client_process).and_then(|group| group.container_id.as_deref()))
    }),
    both("client_pod_uid", "tls.client.k8s.pod.uid", |e| {
        untrusted(workload(&e.client_process).and_then(|group| group.pod_uid.as_deref()))
    }),
    both("client_unit", "tls.client.systemd.unit", |e| {
        untrusted(workload(&e.client_process).and_then(|group| group.unit.as_deref()))
    }),
    both("client_cgroup", "tls.client.process.linux.cgroup", |e| {
        untrusted(workload(&e.client_process).map(|group| group.cgroup.as_str()))
    }),
    both("server_pid", "tls.server.process.pid", |e| {
        count(e.server_process.as_ref().and_then(|process| process.pid))
    }),
    both("server_command", "tls.server.process.command", |e| {
        untrusted(
            e.server_process
                .as_ref()
                .and_then(|process| process.command.as_deref()),
        )
    }),
    both("server_container_id", "tls.server.container.id", |e| {
        untrusted(workload(&e.server_process).and_then(|group| group.container_id.as_deref()))
    }),
    both("server_pod_uid", "tls.server.k8s.pod.uid", |e| {
        untrusted(workload(&e.server_process).and_then(|group| group.pod_uid.as_deref()))
    }),
    both("server_unit", "tls.server.systemd.unit", |e| {
        untrusted(workload(&e.server_process).and_then(|group| group.unit.as_deref()))
    }),
    both("server_cgroup", "tls.server.process.linux.cgroup", |e| {
        untrusted(workload(&e.server_process).map(|group| group.cgroup.as_str()))
    }),
];

type Read = fn(&Handshake) -> FieldValue<'_>;

const fn column(column: &'static str, value: Read) -> EventField {
    EventField {
        column: Some(column),
        attribute: None,
        value,
    }
}

const fn attribute(attribute: &'static str, value: Read) -> EventField {
    EventField {
        column: None,
        attribute: Some(attribute),
        value,
    }
}

const fn both(column: &'static str, attribute: &'static str, value: Read) -> EventField {
    EventField {
        column: Some(column),
        attribute: Some(attribute),
        value,
    }
}

fn safe<'a>(value: impl Display) -> FieldValue<'a> {
    Safe(value.to_string())
}

fn maybe<'a>(value: Option<impl Display>) -> FieldValue<'a> {
    value.map_or(FieldValue::Absent, safe)
}

fn word<'a>(word: Option<&'static str>) -> FieldValue<'a> {
    word.map_or(FieldValue::Absent, Word)
}

fn eap(event: &Handshake) -> Option<&EapFacts> {
    event.eap.as_deref()
}

fn count<'a>(count: Option<u32>) -> FieldValue<'a> {
    count.map_or(FieldValue::Absent, |count| Count(count.into()))
}

fn workload(process: &Option<Box<LocalProcess>>) -> Option<&Workload> {
    process.as_ref()?.workload.as_deref()
}

fn untrusted(text: Option<&str>) -> FieldValue<'_> {
    text.map_or(FieldValue::Absent, Untrusted)
}

fn flag<'a>(flag: Option<bool>) -> FieldValue<'a> {
    flag.map_or(FieldValue::Absent, Flag)
}

fn duration<'a>(duration: Option<Duration>) -> FieldValue<'a> {
    duration.map_or(FieldValue::Absent, |duration| {
        Number(super::milliseconds(duration))
    })
}

fn list<'a>(values: &[impl Display]) -> FieldValue<'a> {
    List(values.iter().map(ToString::to_string).collect())
}

fn error(event: &Handshake) -> Option<&HandshakeError> {
    event.error.as_ref()
}

fn leaf(chain: &Option<CertificateChain>) -> Option<&Certificate> {
    chain.as_deref()?.first().map(AsRef::as_ref)
}

fn leaf_facts(chain: &Option<CertificateChain>) -> Option<&CertificateFacts> {
    leaf(chain)?.facts.as_ref().ok()
}

fn identity(chain: &Option<CertificateChain>) -> FieldValue<'_> {
    leaf_facts(chain).map_or(FieldValue::Absent, |facts| match facts.identity() {
        Cow::Borrowed(identity) => Untrusted(identity),
        Cow::Owned(identity) => safe(identity), // an address or a serial number
    })
}

fn days_until_expiry<'a>(event: &Handshake, chain: &Option<CertificateChain>) -> FieldValue<'a> {
    let expiry = leaf_facts(chain).map(|facts| facts.expiry(event.judged_at));
    expiry.map_or(FieldValue::Absent, |expiry| Number(expiry.rounded_days()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_fields_share_a_name() {
        let columns: Vec<_> = FIELDS.iter().filter_map(|field| field.column).collect();
        let attributes: Vec<_> = FIELDS.iter().filter_map(|field| field.attribute).collect();
        for names in [columns, attributes] {
            let distinct: HashSet<_> = names.iter().collect();
            assert_eq!(distinct.len(), names.len());
        }
    }

    #[test]
    fn every_attribute_is_in_the_registry() {
        let registry = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/telemetry.yaml");
        let registry = std::fs::read_to_string(registry).unwrap();
        let ids = registry
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- id: "));
        let ids: HashSet<_> = ids.collect();
        for attribute in FIELDS.iter().filter_map(|field| field.attribute) {
            assert!(
                ids.contains(attribute),
                "`{attribute}` is not in docs/telemetry.yaml"
            );
        }
    }

    #[test]
    fn every_field_has_a_column_or_an_attribute() {
        for field in FIELDS {
            assert!(field.column.is_some() || field.attribute.is_some());
        }
    }
}
