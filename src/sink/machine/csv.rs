//! Comma-separated values (RFC 4180), for spreadsheets and `sqlite`.
//!
//! The first line names the columns. A handshake is one line; what the capture does
//! not tell is an empty field. Values are written as in [`super::json`]; lists are
//! joined by `;`, and control characters are escaped as in `\n`, so that one
//! handshake is one line of text. Of each chain only the leaf is there. Columns
//! may be added at the end.
//!
//! | columns | from the JSON key |
//! | --- | --- |
//! | `time` to `protocol` | the same |
//! | `client_address` to `server_port` | `client`, `server` |
//! | `vlan`, `tunnel`, `starttls` | the same |
//! | `outcome`, `evidence`, `confidence` | the same |
//! | `error_type`, `error_side`, `error_message` | `error` |
//! | `alerts` | `alerts`, each as in `client:unknown_ca`, or `client:encrypted` |
//! | `closed_by` | the same |
//! | `version` to `unused` | `tls` |
//! | `tcp_connect_ms` to `first_application_data_ms` | `timing_ms` |
//! | `ja3`, `ja3s`, `ja4` | `fingerprint` |
//! | `server_subject` to `server_sha256` | the first of `server_certificates` |
//! | `client_subject` to `client_sha256` | the first of `client_certificates` |
//! | `validation` | `validation`, each as in `server:near_expiry` |
//! | `first_packet` to `directions` | `capture` |

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use super::json::{Milliseconds, ip_protocol};
use crate::certificate::{Certificate, CertificateFacts};
use crate::event::{CertificateChain, Handshake, HandshakeError};
use crate::flow::community_id;
use crate::sink::Sink;
use crate::sink::people::text::printable;
use crate::stats::Stats;

/// Writes comma-separated values; the module's docs specify them.
#[derive(Debug)]
pub struct CsvSink<W: Write> {
    output: csv::Writer<W>,
    field: String,
}

impl<W: Write> CsvSink<W> {
    /// Writes the header to `output`, in blocks of its own: `output` needs no buffer.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn new(output: W) -> io::Result<Self> {
        let mut output = csv::Writer::from_writer(output);
        output.write_record(COLUMNS.iter().map(|(name, _)| name))?;
        let field = String::new();
        Ok(Self { output, field })
    }

    /// The same where `output` goes on that has its header already.
    #[must_use]
    pub fn continuing(output: W) -> Self {
        Self {
            output: csv::Writer::from_writer(output),
            field: String::new(),
        }
    }
}

impl<W: Write> Sink for CsvSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        for (_, write) in COLUMNS {
            self.field.clear();
            write(event, &mut self.field).map_err(io::Error::other)?;
            self.output.write_field(printable(&self.field).as_bytes())?;
        }
        Ok(self.output.write_record(None::<&[u8]>)?) // ends the line
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        self.flush()
    }
}

/// A column's name, and what writes its field for one event.
type Column = (&'static str, fn(&Handshake, &mut String) -> fmt::Result);

const COLUMNS: &[Column] = &[
    ("time", |e, f| write!(f, "{}", e.time)),
    ("source", |e, f| f.write_str(&e.source)),
    ("flow_id", |e, f| write!(f, "{:016x}", e.flow_id)),
    ("community_id", |e, f| {
        f.write_str(&community_id(e.client, e.server, ip_protocol(e.transport)))
    }),
    ("transport", |e, f| f.write_str(e.transport.as_str())),
    ("protocol", |e, f| f.write_str(e.protocol.as_str())),
    ("client_address", |e, f| write!(f, "{}", e.client.address)),
    ("client_port", |e, f| write!(f, "{}", e.client.port)),
    ("server_address", |e, f| write!(f, "{}", e.server.address)),
    ("server_port", |e, f| write!(f, "{}", e.server.port)),
    ("vlan", |e, f| list(f, &e.vlan)),
    ("tunnel", |e, f| list(f, &e.tunnel)),
    ("starttls", |e, f| some(f, e.starttls)),
    ("outcome", |e, f| f.write_str(e.outcome.as_str())),
    ("evidence", |e, f| f.write_str(e.evidence.as_str())),
    ("confidence", |e, f| write!(f, "{}", e.confidence)),
    ("error_type", |e, f| {
        some(f, error(e).map(|error| error.error_type))
    }),
    ("error_side", |e, f| {
        some(f, error(e).and_then(|error| error.side))
    }),
    ("error_message", |e, f| {
        some(f, error(e).map(|error| &error.message))
    }),
    ("alerts", alerts),
    ("closed_by", |e, f| {
        some(f, e.closed_by.map(|closed| closed.as_str()))
    }),
    ("version", |e, f| some(f, e.tls.version)),
    ("cipher_suite", |e, f| some(f, e.tls.cipher_suite)),
    ("server_name", |e, f| some(f, e.tls.server_name.as_ref())),
    ("alpn_offered", |e, f| {
        list(f, e.tls.alpn_offered.as_deref().unwrap_or_default())
    }),
    ("alpn", |e, f| some(f, e.tls.alpn.as_ref())),
    ("group", |e, f| some(f, e.tls.group)),
    ("resumed", |e, f| some(f, e.tls.resumed)),
    ("resumption", |e, f| {
        some(f, e.tls.resumption.map(|by| by.as_str()))
    }),
    ("early_data", |e, f| {
        some(f, e.tls.early_data.map(|data| data.as_str()))
    }),
    ("hello_retry_request", |e, f| {
        some(f, e.tls.hello_retry_request)
    }),
    ("ech", |e, f| {
        some(f, (e.tls.ech_offered == Some(true)).then_some("offered"))
    }),
    ("client_certificate", |e, f| {
        f.write_str(e.tls.client_certificate.as_str())
    }),
    ("unused", |e, f| some(f, e.tls.unused)),
    ("tcp_connect_ms", |e, f| {
        milliseconds(f, e.timing.tcp_connect)
    }),
    ("server_hello_ms", |e, f| {
        milliseconds(f, e.timing.server_hello)
    }),
    ("handshake_ms", |e, f| milliseconds(f, e.timing.handshake)),
    ("handshake_client_view_ms", |e, f| {
        milliseconds(f, e.timing.handshake_client_view)
    }),
    ("handshake_server_view_ms", |e, f| {
        milliseconds(f, e.timing.handshake_server_view)
    }),
    ("first_application_data_ms", |e, f| {
        milliseconds(f, e.timing.first_application_data)
    }),
    ("ja3", |e, f| some(f, e.fingerprint.ja3.as_ref())),
    ("ja3s", |e, f| some(f, e.fingerprint.ja3s.as_ref())),
    ("ja4", |e, f| some(f, e.fingerprint.ja4.as_ref())),
    ("server_subject", |e, f| {
        some(f, facts(&e.server_certificates).map(|c| &c.subject))
    }),
    ("server_issuer", |e, f| {
        some(f, facts(&e.server_certificates).map(|c| &c.issuer))
    }),
    ("server_serial", |e, f| {
        some(f, facts(&e.server_certificates).map(|c| &c.serial))
    }),
    ("server_not_after", |e, f| {
        not_after(f, &e.server_certificates)
    }),
    ("server_days_until_expiry", |e, f| {
        days(f, e, &e.server_certificates)
    }),
    ("server_sha256", |e, f| sha256(f, &e.server_certificates)),
    ("client_subject", |e, f| {
        some(f, facts(&e.client_certificates).map(|c| &c.subject))
    }),
    ("client_issuer", |e, f| {
        some(f, facts(&e.client_certificates).map(|c| &c.issuer))
    }),
    ("client_serial", |e, f| {
        some(f, facts(&e.client_certificates).map(|c| &c.serial))
    }),
    ("client_not_after", |e, f| {
        not_after(f, &e.client_certificates)
    }),
    ("client_days_until_expiry", |e, f| {
        days(f, e, &e.client_certificates)
    }),
    ("client_sha256", |e, f| sha256(f, &e.client_certificates)),
    ("validation", validation),
    ("first_packet", |e, f| {
        write!(f, "{}", e.capture.first_packet)
    }),
    ("last_packet", |e, f| write!(f, "{}", e.capture.last_packet)),
    ("client_gap_bytes", |e, f| {
        write!(f, "{}", e.capture.client_gap_bytes)
    }),
    ("server_gap_bytes", |e, f| {
        write!(f, "{}", e.capture.server_gap_bytes)
    }),
    ("truncated", |e, f| write!(f, "{}", e.capture.truncated)),
    ("directions", |e, f| {
        f.write_str(e.capture.directions.as_str())
    }),
];

fn some(field: &mut String, value: Option<impl Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(field, "{value}"))
}

fn list(field: &mut String, values: &[impl Display]) -> fmt::Result {
    for (index, value) in values.iter().enumerate() {
        let separator = if index == 0 { "" } else { ";" };
        write!(field, "{separator}{value}")?;
    }
    Ok(())
}

fn milliseconds(field: &mut String, duration: Option<std::time::Duration>) -> fmt::Result {
    some(
        field,
        duration.map(|duration| Milliseconds(duration).number()),
    )
}

fn error(event: &Handshake) -> Option<&HandshakeError> {
    event.error.as_ref()
}

fn alerts(event: &Handshake, field: &mut String) -> fmt::Result {
    for (index, alert) in event.alerts.iter().enumerate() {
        let separator = if index == 0 { "" } else { ";" };
        write!(field, "{separator}{}:", alert.sender)?;
        match alert.description {
            Some(description) => write!(field, "{description}")?,
            None => field.write_str("encrypted")?,
        }
    }
    Ok(())
}

fn validation(event: &Handshake, field: &mut String) -> fmt::Result {
    for (index, finding) in event.validation.iter().enumerate() {
        let separator = if index == 0 { "" } else { ";" };
        write!(field, "{separator}{}:{}", finding.side, finding.error_type)?;
    }
    Ok(())
}

fn leaf(chain: &Option<CertificateChain>) -> Option<&Certificate> {
    chain.as_deref()?.first().map(AsRef::as_ref)
}

fn facts(chain: &Option<CertificateChain>) -> Option<&CertificateFacts> {
    leaf(chain)?.facts.as_ref().ok()
}

fn not_after(field: &mut String, chain: &Option<CertificateChain>) -> fmt::Result {
    some(field, facts(chain).map(|leaf| leaf.not_after))
}

fn days(field: &mut String, event: &Handshake, chain: &Option<CertificateChain>) -> fmt::Result {
    some(
        field,
        facts(chain).map(|leaf| leaf.expiry(event.judged_at).rounded_days()),
    )
}

fn sha256(field: &mut String, chain: &Option<CertificateChain>) -> fmt::Result {
    let bytes = leaf(chain).map(|leaf| leaf.sha256.as_slice());
    let mut bytes = bytes.unwrap_or_default().iter();
    bytes.try_for_each(|byte| write!(field, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::sink::test_events;

    fn text_of(events: &[Handshake]) -> String {
        let mut output = Vec::new();
        let mut sink = CsvSink::new(&mut output).unwrap();
        for event in events {
            sink.handshake(event).unwrap();
        }
        sink.finish(&Stats::default()).unwrap();
        drop(sink);
        String::from_utf8(output).unwrap()
    }

    fn record_of(event: Handshake) -> HashMap<String, String> {
        let text = text_of(&[event]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().next().unwrap().unwrap()
    }

    #[test]
    fn a_failure_has_its_cause_and_the_leaf_of_the_chain() {
        let record = record_of(test_events::refused_by_the_client());
        let expected = [
            ("time", "2026-03-01T12:00:00.123456789Z"),
            ("flow_id", "6f1c0000000000a7"),
            ("client_port", "51234"),
            ("error_type", "unknown_ca"),
            ("error_side", "client"),
            ("alerts", "client:unknown_ca"),
            ("alpn_offered", "h2;http/1.1"),
            ("server_hello_ms", "3.1"),
            ("handshake_ms", ""),
            ("server_not_after", "2026-03-14T00:00:00Z"),
            ("server_days_until_expiry", "12.4999"),
            ("client_subject", ""),
            ("validation", "server:near_expiry"),
        ];
        for (column, value) in expected {
            assert_eq!(record[column], value, "{column}");
        }
        assert_eq!(record["server_sha256"], "01".repeat(32));
    }

    #[test]
    fn every_handshake_is_one_line_whatever_its_names_hold() {
        let mut event = test_events::barely_seen();
        event.tls.server_name = Some("a,\"b\"\r\nc\u{1b}".into());
        let text = text_of(std::slice::from_ref(&event));
        assert_eq!(text.lines().count(), 2);
        assert_eq!(record_of(event)["server_name"], "a,\"b\"\\r\\nc\\u{1b}");
    }

    #[test]
    fn the_header_comes_even_without_handshakes() {
        let text = text_of(&[]);
        assert_eq!(text.lines().count(), 1);
        assert!(text.starts_with("time,source,flow_id,"));
    }

    #[test]
    fn no_two_columns_share_a_name() {
        let mut names: Vec<_> = COLUMNS.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COLUMNS.len());
    }
}
