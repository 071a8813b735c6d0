//! Comma-separated values (RFC 4180), for spreadsheets and `sqlite`.
//!
//! The first line names the columns. Each handshake is one line; a field is empty if the
//! capture does not show its value. Values are written as in [`super::json`]. Lists are
//! joined by `;`, and control characters are escaped as in `\n`, so that each
//! handshake is one line of text. A text that a spreadsheet would run as a formula, because it
//! begins with `=`, `+`, `-` or `@` (also as full-width characters), has a single quote before
//! it: spreadsheets show the text, and programs have to remove the quote. Only the leaf of each chain is included. New columns
//! are added at the end.
//!
//! A connection that did not become TLS is a line, too, unless neither side sent a byte. It has no `evidence`, which every
//! handshake has. `error_type` is `starttls_refused` or `not_tls`, and `outcome` is then `failure`; both are empty if the
//! client did not ask for TLS. `error_message` says what came instead.
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
//! | `unknown_because` | the same |
//! | `proxy`, `proxy_client`, `proxy_server` | `proxy` |
//! | `starttls_ms` | `timing_ms` |
//! | `eap_method` to `nas_identifier` | `eap` |
//! | `client_pid` to `client_cgroup` | `client_process`; empty without `--attribute-processes` |
//! | `server_pid` to `server_cgroup` | `server_process` |

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use super::blocks::BlockWriter;
use crate::escape::printable;
use crate::event::{Handshake, NotTls, NotTlsKind, Outcome, ProxyEndpoint, Side, Transport};
use crate::hex::Hex;
use crate::sink::fields::{EventField, FIELDS, FieldValue};
use crate::sink::{Renderer, Sink};
use crate::stats::Stats;

/// Writes comma-separated values; the module's docs specify them.
#[derive(Debug)]
pub struct CsvSink<W: Write> {
    output: BlockWriter<W>,
    renderer: CsvRenderer,
}

/// Makes the lines.
#[derive(Debug, Default)]
struct CsvRenderer {
    field: String,
}

impl<W: Write> CsvSink<W> {
    /// Writes the header to `output`, in blocks of its own: `output` needs no buffer.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn new(output: W) -> io::Result<Self> {
        let mut sink = Self::continuing(output);
        sink.output.add(|line| {
            for (index, (name, _)) in columns().enumerate() {
                push_field(line, index, name);
            }
            line.push(b'\n');
            Ok(())
        })?;
        Ok(sink)
    }

    /// Writes without a header to an output that already has one.
    #[must_use]
    pub fn continuing(output: W) -> Self {
        Self {
            output: BlockWriter::new(output),
            renderer: CsvRenderer::default(),
        }
    }
}

impl CsvRenderer {
    fn push(&mut self, text: &mut Vec<u8>, index: usize, value: &FieldValue<'_>) -> io::Result<()> {
        self.field.clear();
        write_value(&mut self.field, value).map_err(io::Error::other)?;
        if is_text(value) && self.field.starts_with(FORMULA) {
            self.field.insert(0, '\'');
        }
        push_field(text, index, &printable(&self.field));
        Ok(())
    }
}

impl Renderer for CsvRenderer {
    fn handshake(&mut self, event: &Handshake, text: &mut Vec<u8>) -> io::Result<()> {
        for (index, (_, field)) in columns().enumerate() {
            self.push(text, index, &(field.value)(event))?;
        }
        text.push(b'\n');
        Ok(())
    }

    /// Probes by load balancers and monitors come by the thousand, and have nothing to say.
    fn not_tls(&mut self, event: &NotTls, text: &mut Vec<u8>) -> io::Result<()> {
        if event.kind == NotTlsKind::SilentProbe {
            return Ok(());
        }
        for (index, (column, _)) in columns().enumerate() {
            self.push(text, index, &not_tls_value(event, column))?;
        }
        text.push(b'\n');
        Ok(())
    }
}

impl<W: Write> Sink for CsvSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.output.add(|text| self.renderer.handshake(event, text))
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.output.add(|text| self.renderer.not_tls(event, text))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        self.flush()
    }

    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>> {
        let renderers = (0..count).map(|_| CsvRenderer::default());
        renderers.map(|renderer| Box::new(renderer) as _).collect()
    }

    fn rendered(&mut self, text: &[u8], _: u64) -> io::Result<()> {
        self.output.write(text)
    }
}

/// A run that ends early, as on a capture that cannot be read, leaves the header.
impl<W: Write> Drop for CsvSink<W> {
    fn drop(&mut self) {
        let _ = self.output.flush(); // an error is reported by a flush before
    }
}

/// Appends a field, in quotes if there is something in it that separates fields or lines.
fn push_field(line: &mut Vec<u8>, index: usize, field: &str) {
    if index > 0 {
        line.push(b',');
    }
    let separates = |byte: u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
    if !field.bytes().any(separates) {
        line.extend_from_slice(field.as_bytes());
        return;
    }
    line.push(b'"');
    for byte in field.bytes() {
        if byte == b'"' {
            line.push(byte);
        }
        line.push(byte);
    }
    line.push(b'"');
}

/// What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"). Tabs and carriage
/// returns would, too, and are always escaped.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Whether the traffic or the user may choose how the value begins. A negative number is none of those.
const fn is_text(value: &FieldValue<'_>) -> bool {
    matches!(
        value,
        FieldValue::Safe(_) | FieldValue::Untrusted(_) | FieldValue::List(_)
    )
}

/// The value of a column for a connection without TLS.
fn not_tls_value<'a>(event: &'a NotTls, column: &str) -> FieldValue<'a> {
    use FieldValue::{Absent, Count, Safe, Untrusted, Word};
    let error_type = event.error_type();
    let proxy = event.proxy.as_deref();
    let end = |end: Option<&ProxyEndpoint>| end.map_or(Absent, |end| Safe(end.to_string()));
    match column {
        "time" => Safe(event.time.to_string()),
        "source" => event.source.as_deref().map_or(Absent, Untrusted),
        "flow_id" => Safe(Hex(&event.flow_id.to_be_bytes()).to_string()),
        "community_id" => Safe(event.community_id()),
        "transport" => Word(Transport::Tcp.as_str()),
        "client_address" => Safe(event.client.address.to_string()),
        "client_port" => Count(event.client.port.into()),
        "server_address" => Safe(event.server.address.to_string()),
        "server_port" => Count(event.server.port.into()),
        "starttls" => event.starttls.map_or(Absent, |one| Word(one.as_str())),
        "outcome" if error_type.is_some() => Word(Outcome::Failure.as_str()),
        "error_type" => error_type.map_or(Absent, |class| Word(class.as_str())),
        "error_side" if event.kind == NotTlsKind::StartTlsRefused && event.starttls.is_some() => {
            Word(Side::Server.as_str())
        }
        "error_message" => Untrusted(&event.message),
        "proxy" => proxy.map_or(Absent, |proxy| Word(proxy.kind.as_str())),
        "proxy_client" => end(proxy.and_then(|proxy| proxy.client.as_ref())),
        "proxy_server" => end(proxy.and_then(|proxy| proxy.server.as_ref())),
        _ => Absent,
    }
}

/// The columns, in their order.
fn columns() -> impl Iterator<Item = (&'static str, &'static EventField)> {
    FIELDS
        .iter()
        .filter_map(|field| Some((field.column?, field)))
}

/// Writes a value as text; lists are joined by `;`.
fn write_value(text: &mut String, value: &FieldValue<'_>) -> fmt::Result {
    match value {
        FieldValue::Absent => Ok(()),
        FieldValue::Flag(flag) => write!(text, "{flag}"),
        FieldValue::Count(count) => write!(text, "{count}"),
        FieldValue::Number(number) => write!(text, "{number}"),
        FieldValue::Word(word) => text.write_str(word),
        FieldValue::Safe(safe) => text.write_str(safe),
        FieldValue::Untrusted(untrusted) => text.write_str(untrusted),
        FieldValue::List(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            let separator = if index == 0 { "" } else { ";" };
            write!(text, "{separator}{item}")
        }),
    }
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
    fn a_handshake_is_one_line_whatever_its_names_contain() {
        let mut event = test_events::barely_seen();
        event.tls.server_name = Some("a,\"b\"\r\nc\u{1b}".into());
        let text = text_of(std::slice::from_ref(&event));
        assert_eq!(text.lines().count(), 2);
        assert_eq!(record_of(event)["server_name"], "a,\"b\"\\r\\nc\\u{1b}");
    }

    #[test]
    fn no_name_is_a_formula_and_numbers_stay_numbers() {
        let mut event = test_events::refused_by_the_client();
        for (name, cell) in [
            ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("＝1", "'＝1"),
            ("a=b", "a=b"),
        ] {
            event.tls.server_name = Some(name.into());
            assert_eq!(record_of(event.clone())["server_name"], cell);
        }
        event.tls.alpn_offered = Some(vec!["=1".into(), "h2".into()]);
        event.judged_at = crate::time::Timestamp::from_seconds(1_900_000_000); // long after the certificate expired
        let record = record_of(event);
        assert_eq!(record["alpn_offered"], "'=1;h2");
        assert!(record["server_days_until_expiry"].starts_with('-'));
    }

    #[test]
    fn a_refused_starttls_is_a_line_and_a_silent_probe_is_none() {
        let mut event = test_events::refused_starttls();
        let mut output = Vec::new();
        let mut sink = CsvSink::new(&mut output).unwrap();
        sink.not_tls(&event).unwrap();
        event.kind = NotTlsKind::SilentProbe;
        sink.not_tls(&event).unwrap();
        sink.finish(&Stats::default()).unwrap();
        drop(sink);
        let mut reader = csv::Reader::from_reader(&output[..]);
        let records: Vec<HashMap<String, String>> =
            reader.deserialize().map(Result::unwrap).collect();
        let [record] = &records[..] else {
            panic!("{records:?}")
        };
        let filled = record.iter().filter(|(_, value)| !value.is_empty());
        let filled: std::collections::BTreeMap<_, _> =
            filled.map(|(name, value)| (&**name, &**value)).collect();
        let expected = [
            ("time", "2026-03-01T12:00:00.123456789Z"),
            ("source", "mail.pcap"),
            ("flow_id", "6f1c0000000000a8"),
            ("community_id", "1:3Wq31B/svcJh3Oj7C0+oub5devI="),
            ("transport", "tcp"),
            ("client_address", "10.0.0.1"),
            ("client_port", "51234"),
            ("server_address", "10.0.0.2"),
            ("server_port", "443"),
            ("starttls", "smtp"),
            ("outcome", "failure"),
            ("error_type", "starttls_refused"),
            ("error_side", "server"),
            ("error_message", "server refused STARTTLS: \"454 no\""),
        ];
        assert_eq!(filled, expected.into());
    }

    #[test]
    fn fields_are_in_quotes_where_a_reader_of_csv_needs_them() {
        for field in [
            "a", "", "a b", "a,b", "\"a\"", "\"", "a\nb", "\r", "a;b'", "é,例",
        ] {
            let mut line = Vec::new();
            push_field(&mut line, 0, "first");
            push_field(&mut line, 1, field);
            let mut expected = csv::Writer::from_writer(Vec::new());
            expected.write_record(["first", field]).unwrap();
            line.push(b'\n');
            assert_eq!(line, expected.into_inner().unwrap(), "{field}");
        }
    }

    #[test]
    fn the_header_is_written_even_if_the_run_ends_early() {
        let mut output = Vec::new();
        drop(CsvSink::new(&mut output).unwrap());
        assert!(output.starts_with(b"time,source,flow_id,"));
    }

    #[test]
    fn the_header_is_written_even_without_handshakes() {
        let text = text_of(&[]);
        assert_eq!(text.lines().count(), 1);
        assert!(text.starts_with("time,source,flow_id,"));
    }
}
