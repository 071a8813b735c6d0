//! JSON Lines: one object a line, for scripts. [`lines`] specifies the lines.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

mod ladder;
pub mod lines;
mod ready;
mod value;
mod writer;

use lines::HandshakeLine;
pub(crate) use lines::Line;
use ready::{ReadyCertificates, ReadyLists};

use super::blocks::BlockWriter;
use crate::escape::SafeJson;
use crate::event::{Event, Handshake, HandshakeReport, NotTls};
use crate::sink::{Renderer, Sink};
use crate::stats::Stats;

/// Writes JSON Lines, as [`lines`] specifies them.
#[derive(Debug)]
pub struct JsonSink<W> {
    output: BlockWriter<W>,
    renderer: JsonRenderer,
}

/// Makes the lines.
#[derive(Debug, Default)]
struct JsonRenderer {
    certificates: ReadyCertificates,
    lists: ReadyLists,
    writes_names: bool,
}

impl<W: Write> JsonSink<W> {
    /// Writes to `output` in large blocks: it needs no buffer of its own.
    #[must_use]
    pub fn new(output: W) -> Self {
        Self {
            output: BlockWriter::new(output),
            renderer: JsonRenderer::default(),
        }
    }

    /// As [`JsonSink::new`], with the names of what clients offer next to the numbers.
    #[must_use]
    pub fn with_names(output: W) -> Self {
        let mut sink = Self::new(output);
        sink.renderer.writes_names = true;
        sink
    }

    /// The same, with about `bytes` of memory at most for texts that may be written again: two thirds for those of certificates,
    /// one for those of lists in hellos.
    #[must_use]
    pub fn with_texts_within(mut self, bytes: usize) -> Self {
        self.renderer.lists = ReadyLists::within(bytes / 3);
        self.renderer.certificates = ReadyCertificates::within(bytes - bytes / 3);
        self
    }
}

impl Renderer for JsonRenderer {
    fn handshake(&mut self, event: &Handshake, text: &mut Vec<u8>) -> io::Result<()> {
        let chains = self.certificates.chains(event)?;
        let offer = self.lists.offer(&event.tls)?;
        let mut line = HandshakeLine::from(event);
        line.set_chains(chains);
        line.set_offer(offer);
        if self.writes_names {
            line = line.with_names(event);
        }
        write_line(text, &Line::Handshake(&line))
    }

    fn not_tls(&mut self, event: &NotTls, text: &mut Vec<u8>) -> io::Result<()> {
        write_line(text, &Line::NotTls(&event.into()))
    }
}

fn write_line(text: &mut Vec<u8>, line: &Line<'_>) -> io::Result<()> {
    writer::write(text, line)?;
    text.push(b'\n');
    Ok(())
}

impl<W: Write> Sink for JsonSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.output.add(|text| self.renderer.handshake(event, text))
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.output.add(|text| self.renderer.not_tls(event, text))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        let line = Line::Stats(lines::StatsLine(stats));
        self.output.add(|text| write_line(text, &line))?;
        self.flush()
    }

    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>> {
        let renderer = || JsonRenderer {
            certificates: self.renderer.certificates.share(count),
            lists: self.renderer.lists.share(count),
            writes_names: self.renderer.writes_names,
        };
        (0..count).map(|_| Box::new(renderer()) as _).collect()
    }

    fn rendered(&mut self, text: &[u8], _: u64) -> io::Result<()> {
        self.output.write(text)
    }
}

/// Writes a handshake with its steps as one line: that of [`JsonSink`], with `number`, its place in the order of time, and `ladder`.
///
/// # Errors
///
/// When the output cannot be written.
pub fn write_with_ladder(
    output: &mut impl Write,
    report: &HandshakeReport,
    number: usize,
) -> io::Result<()> {
    let line = ladder::HandshakeWithLadder::new(report, number);
    serde_json::to_writer(SafeJson(&mut *output), &line)?;
    output.write_all(b"\n")
}

/// As its line, with `"type": "handshake"`.
impl Serialize for Handshake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line::Handshake(&self.into()).serialize(serializer)
    }
}

/// As its line, with `"type": "not_tls"`.
impl Serialize for NotTls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line::NotTls(&self.into()).serialize(serializer)
    }
}

/// As the line of what it holds.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Handshake(event) => event.serialize(serializer),
            Self::NotTls(event) => event.serialize(serializer),
        }
    }
}

/// The line of one handshake as a value.
#[cfg(feature = "cli")]
pub(crate) fn handshake_value(event: &Handshake) -> serde_json::Value {
    // No event is known that cannot be a value; it would be `null`.
    serde_json::to_value(Line::Handshake(&event.into())).unwrap_or_default()
}

#[cfg(test)]
pub(crate) fn lines_of(events: &[Handshake]) -> Vec<serde_json::Value> {
    let mut output = Vec::new();
    let mut sink = JsonSink::new(&mut output);
    for event in events {
        sink.handshake(event).unwrap();
    }
    sink.finish(&Stats::default()).unwrap();
    let text = String::from_utf8(output).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    fn text_of(event: &Handshake) -> String {
        let mut output = Vec::new();
        let mut sink = JsonSink::new(&mut output);
        sink.handshake(event).unwrap();
        sink.flush().unwrap();
        String::from_utf8(output).unwrap()
    }

    /// The example in the docs of [`lines`], without the white space between tokens.
    fn documented_line() -> String {
        let source = include_str!("lines.rs");
        let (_, rest) = source.split_once("//! ```json\n").unwrap();
        let (example, _) = rest.split_once("//! ```\n").unwrap();
        let mut in_string = false;
        let mut line = example.replace("//!", "");
        line.retain(|c| {
            in_string ^= c == '"'; // no string in the example has an escaped quote
            in_string || !c.is_whitespace()
        });
        line
    }

    #[test]
    fn a_line_is_as_documented_key_by_key_in_order() {
        let line = text_of(&test_events::refused_by_the_client());
        assert_eq!(line.trim_end(), documented_line());
    }

    #[test]
    fn names_have_the_keys_and_the_order_of_the_numbers() {
        let event = test_events::refused_by_the_client();
        let mut output = Vec::new();
        let mut sink = JsonSink::with_names(&mut output);
        sink.handshake(&event).unwrap();
        sink.flush().unwrap();
        let mut line: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let tls = line["tls"].as_object_mut().unwrap();
        let names = tls.remove("names").unwrap();
        let suites = [
            "TLS_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ];
        assert_eq!(names["offered_cipher_suites"], serde_json::json!(suites));
        assert_eq!(
            names["offered_versions"],
            serde_json::json!(["TLS 1.3", "TLS 1.2"])
        );
        for (key, names) in names.as_object().unwrap() {
            let count = |list: &serde_json::Value| list.as_array().unwrap().len();
            assert_eq!(count(names), count(&tls[key]), "{key}");
        }
        assert_eq!(line, lines_of(&[event])[0], "nothing else changes");
    }

    #[test]
    fn unseen_lists_are_null_and_lists_seen_empty_are_empty() {
        let mut event = test_events::barely_seen();
        let line = &lines_of(std::slice::from_ref(&event))[0];
        assert!(line["client_certificates"].is_null());
        assert!(line["tls"]["alpn_offered"].is_null());
        assert!(line.get("error").is_none());

        event.client_certificates = Some([].into());
        event.tls.alpn_offered = Some(Vec::new());
        let line = &lines_of(&[event])[0];
        assert_eq!(line["client_certificates"], serde_json::json!([]));
        assert_eq!(line["tls"]["alpn_offered"], serde_json::json!([]));
    }

    #[test]
    fn a_certificate_that_does_not_parse_has_its_hash_and_the_reason() {
        let line = &lines_of(&[test_events::with_a_broken_certificate()])[0];
        let expected = serde_json::json!({"sha256": "02".repeat(32), "error": "not DER"});
        assert_eq!(line["client_certificates"], serde_json::json!([expected]));
    }

    #[test]
    fn a_hostile_name_stays_one_line() {
        let mut event = test_events::barely_seen();
        event.tls.server_name = Some("a\nb\u{1b}[31m\"".into());
        let line = text_of(&event);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains('\u{1b}'));
    }

    #[test]
    fn a_connection_without_tls_is_a_line_of_its_own_type() {
        let mut output = Vec::new();
        let mut sink = JsonSink::new(&mut output);
        sink.not_tls(&test_events::refused_starttls()).unwrap();
        sink.flush().unwrap();
        let line: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let expected = serde_json::json!({
            "type": "not_tls",
            "time": "2026-03-01T12:00:00.123456789Z",
            "source": "mail.pcap",
            "flow_id": "6f1c0000000000a8",
            "community_id": "1:3Wq31B/svcJh3Oj7C0+oub5devI=",
            "kind": "starttls_refused",
            "client": {"address": "10.0.0.1", "port": 51234},
            "server": {"address": "10.0.0.2", "port": 443},
            "starttls": "smtp",
            "message": "server refused STARTTLS: \"454 no\"",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn an_event_serialises_as_its_line() {
        let event = test_events::refused_by_the_client();
        let line = text_of(&event);
        for text in [
            serde_json::to_string(&event).unwrap(),
            serde_json::to_string(&Event::Handshake(Box::new(event))).unwrap(),
        ] {
            assert_eq!(text, line.trim_end());
        }
        let event = Event::NotTls(test_events::refused_starttls());
        assert_eq!(serde_json::to_value(event).unwrap()["type"], "not_tls");
    }

    #[test]
    fn lists_that_were_written_before_are_written_again() {
        let mut events = vec![test_events::refused_by_the_client(); 3];
        events[1].tls.offered_cipher_suites = Some([crate::tls::CipherSuite(0x1301); 300].into());
        events[1].tls.offered_groups = Some([].into());
        events[2].tls.key_share_groups = None;
        let events: Vec<_> = events.iter().chain(&events).collect();
        let mut output = Vec::new();
        let mut sink = JsonSink::new(&mut output);
        for event in &events {
            sink.handshake(event).unwrap();
        }
        sink.flush().unwrap();
        let text = String::from_utf8(output).unwrap();
        let expected = events
            .iter()
            .map(|event| serde_json::to_string(event).unwrap());
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_last_line_has_every_counter() {
        let line = lines_of(&[]).remove(0);
        assert_eq!(line["type"], "stats");
        for (name, _) in Stats::default().iter() {
            assert_eq!(line[name], 0, "{name}");
        }
    }
}
