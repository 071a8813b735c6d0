//! JSON Lines: one object a line, for scripts.
//!
//! # Format
//!
//! Each line is an object whose first key is `type`. A line of type `handshake`
//! is one TLS handshake; the last line, of type `stats`, has the counters of the
//! run ([`Stats`], by the same names). `tlscope schema` prints the JSON Schema,
//! with a description of each key.
//!
//! A key that scripts ask for is always there, and `null` if the capture does not
//! tell. These keys are left out when there is nothing to say: `vlan`, `tunnel`,
//! `starttls`, `inference`, `error`, `notes`, and in `tls` `certificate_authorities`,
//! `ocsp_stapled`, `ocsp_status`, `signed_certificate_timestamps` and `renegotiation`, in a
//! certificate `names_omitted`. An empty list says that it was seen to be empty:
//! `"client_certificates": []` is a client that had no certificate, `null` one
//! whose answer was not seen.
//!
//! A registered value has its name and its number (`version` and `version_code`);
//! a value without a name is written as in `0x7f1c`. Times are packet times in UTC
//! with nine decimals, durations are milliseconds exact to the nanosecond. A
//! certificate that does not parse has just `sha256` and `error`.
//!
//! # Example
//!
//! A client refuses a certificate, here over many lines:
//!
//! ```json
//! {
//!   "type": "handshake",
//!   "time": "2026-03-01T12:00:00.123456789Z",
//!   "source": "capture.pcapng",
//!   "flow_id": "6f1c0000000000a7",
//!   "community_id": "1:3Wq31B/svcJh3Oj7C0+oub5devI=",
//!   "transport": "tcp",
//!   "protocol": "tls",
//!   "client": {"address": "10.0.0.1", "port": 51234},
//!   "server": {"address": "10.0.0.2", "port": 443},
//!   "vlan": [12],
//!   "outcome": "failure",
//!   "evidence": "observed",
//!   "confidence": 1.0,
//!   "error": {
//!     "type": "unknown_ca",
//!     "side": "client",
//!     "message": "client refused the server's certificate: unknown_ca (48)"
//!   },
//!   "alerts": [
//!     {
//!       "time": "2026-03-01T12:00:00.127556789Z",
//!       "sender": "client",
//!       "level": "fatal",
//!       "code": 48,
//!       "description": "unknown_ca",
//!       "encrypted": false
//!     }
//!   ],
//!   "closed_by": "client_rst",
//!   "tls": {
//!     "version": "TLS 1.2",
//!     "version_code": 771,
//!     "cipher_suite": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
//!     "cipher_suite_code": 49199,
//!     "server_name": "example.org",
//!     "alpn_offered": ["h2", "http/1.1"],
//!     "alpn": "h2",
//!     "group": "x25519",
//!     "group_code": 29,
//!     "offered_versions": [772, 771],
//!     "offered_cipher_suites": [4865, 49199],
//!     "offered_groups": [4588, 29],
//!     "key_share_groups": [4588],
//!     "signature_algorithms": [1027],
//!     "resumed": false,
//!     "resumption": null,
//!     "early_data": null,
//!     "hello_retry_request": false,
//!     "ech": "offered",
//!     "client_certificate": "not_requested",
//!     "unused": null,
//!     "history": "CsxkdA"
//!   },
//!   "timing_ms": {
//!     "tcp_connect": 0.4,
//!     "server_hello": 3.1,
//!     "handshake": null,
//!     "handshake_client_view": null,
//!     "handshake_server_view": null,
//!     "first_application_data": null
//!   },
//!   "fingerprint": {
//!     "ja3": "e7d705a3286e19ea42f587b344ee6865",
//!     "ja3s": null,
//!     "ja4": "t13d0202h2_0123456789ab_cdef01234567"
//!   },
//!   "server_certificates": [
//!     {
//!       "subject": "CN=example.org",
//!       "common_name": "example.org",
//!       "issuer": "CN=Example CA",
//!       "issuer_common_name": "Example CA",
//!       "serial": "0a1b",
//!       "not_before": "2025-12-31T00:00:00Z",
//!       "not_after": "2026-03-14T00:00:00Z",
//!       "days_until_expiry": 12.4999,
//!       "dns_names": ["example.org"],
//!       "ip_addresses": [],
//!       "key": "RSA 2048",
//!       "signature_algorithm": "sha256WithRSAEncryption",
//!       "sha256": "0101010101010101010101010101010101010101010101010101010101010101",
//!       "self_signed": false,
//!       "is_ca": false
//!     }
//!   ],
//!   "client_certificates": null,
//!   "validation": [
//!     {
//!       "error_type": "near_expiry",
//!       "side": "server",
//!       "detail": "expires in 12.5 days",
//!       "subject": "CN=example.org"
//!     }
//!   ],
//!   "capture": {
//!     "first_packet": 12,
//!     "last_packet": 31,
//!     "client_gap_bytes": 0,
//!     "server_gap_bytes": 0,
//!     "truncated": false,
//!     "directions": "both"
//!   }
//! }
//! ```

use std::io::{self, Write};

use serde::Serialize;

mod line;
mod value;

pub(crate) use line::Line;

use crate::event::Handshake;
use crate::sink::Sink;
use crate::stats::Stats;

/// Writes JSON Lines; the module's docs specify them.
#[derive(Debug)]
pub struct JsonSink<W> {
    output: W,
    lines: Vec<u8>,
}

/// Bytes of lines gathered before they are written: enough that system calls cost nothing beside them.
const GATHERED: usize = 64 * 1024;

impl<W: Write> JsonSink<W> {
    /// Writes to `output`, in blocks of its own: `output` needs no buffer.
    #[must_use]
    pub fn new(output: W) -> Self {
        Self {
            output,
            lines: Vec::with_capacity(GATHERED),
        }
    }

    fn write_line(&mut self, line: &Line<'_>) -> io::Result<()> {
        line.serialize(&mut serde_json::Serializer::new(&mut self.lines))?;
        self.lines.push(b'\n');
        if self.lines.len() >= GATHERED {
            self.write_gathered()?;
        }
        Ok(())
    }

    fn write_gathered(&mut self) -> io::Result<()> {
        self.output.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }
}

impl<W: Write> Sink for JsonSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.write_line(&Line::Handshake(&event.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_gathered()?;
        self.output.flush()
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.write_line(&Line::Stats(line::StatsLine(stats)))?;
        self.flush()
    }
}

/// The line of one handshake as a value; `null` if it cannot be one, which no event is known to be.
pub(crate) fn handshake_value(event: &Handshake) -> serde_json::Value {
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

    /// The fenced example in this module's docs, without the white space between tokens.
    fn documented_line() -> String {
        let source = include_str!("mod.rs");
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
    fn what_was_not_seen_is_null_and_what_was_seen_empty_is_an_empty_list() {
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
    fn the_last_line_has_every_counter() {
        let line = lines_of(&[]).remove(0);
        assert_eq!(line["type"], "stats");
        for (name, _) in Stats::default().iter() {
            assert_eq!(line[name], 0, "{name}");
        }
    }
}
