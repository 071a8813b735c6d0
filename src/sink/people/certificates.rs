//! A table of the certificates of a run, ordered by expiry, and of the peers that show them.
//!
//! Written once, at the end. Lists at most twenty thousand distinct certificates.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{self, Write};

use super::summary::{counted, day, second, times};
use super::text::{Align, TextStyle, printable, printable_message, wrap, write_rows};
use crate::certificate::Expiry;
use crate::event::{Handshake, Outcome};
use crate::flow::Endpoint;
use crate::sink::files::inventory::{Inventory, KnownCertificate, ShownBy};
use crate::sink::{Needs, Sink};
use crate::stats::Stats;
use crate::time::Timestamp;
use crate::tls::ProtocolVersion;

/// Columns below which the rest of a row is on lines of its own, and below which that includes the role and the issuer.
const WIDE: usize = 140;
const NARROW: usize = 100;

/// What the rest of a row begins with.
const INDENT: &str = "    ";

/// Peers named in a row.
const NAMED: usize = 3;

/// Collects certificates, and writes the table at the end.
#[derive(Debug)]
pub struct CertificatesSink<W> {
    output: W,
    style: TextStyle,
    inventory: Inventory,
    missing: Missing,
    /// The latest moment at which certificates were validated.
    judged_at: Timestamp,
}

/// Endpoints remembered to say which of them hide their certificates; further ones are not distinguished.
const MAX_ENDPOINTS: usize = 4096;

/// Why servers showed no certificate.
#[derive(Debug, Default)]
pub(in crate::sink) struct Missing {
    /// Servers whose certificates TLS 1.3 encrypts. They may show another one to clients of TLS 1.2.
    hidden: BTreeSet<Endpoint>,
    hidden_handshakes: u64,
    resumed: u64,
    incomplete: u64,
}

impl Missing {
    pub(in crate::sink) fn record(&mut self, event: &Handshake) {
        if event.server_certificates.is_some() {
            return;
        }
        if event.tls.resumed == Some(true) {
            self.resumed += 1;
        } else if event.tls.version.map(ProtocolVersion::as_tls) == Some(ProtocolVersion::TLSv1_3) {
            self.hidden_handshakes += 1;
            remember(&mut self.hidden, event.server);
        } else if event.outcome != Outcome::Success {
            self.incomplete += 1;
        }
    }

    /// One line for each reason that applies.
    pub(in crate::sink) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let hidden = self.hidden.len() as u64;
        if hidden > 0 {
            let endpoints = counted(hidden, "TLS endpoint");
            let handshakes = counted(self.hidden_handshakes, "handshake");
            lines.push(format!(
                "not visible: TLS 1.3 encrypts the certificates of {endpoints} ({handshakes}); `--keylog` decrypts them"
            ));
        }
        if self.resumed > 0 {
            let handshakes = counted(self.resumed, "handshake");
            lines.push(format!(
                "not sent: {handshakes} resumed a session, which needs no certificate"
            ));
        }
        if self.incomplete > 0 {
            let handshakes = counted(self.incomplete, "handshake");
            lines.push(format!(
                "not seen: {handshakes} ended, or the capture did, before the certificate was sent"
            ));
        }
        lines
    }
}

fn remember(endpoints: &mut BTreeSet<Endpoint>, endpoint: Endpoint) {
    if endpoints.len() < MAX_ENDPOINTS {
        endpoints.insert(endpoint);
    }
}

impl<W: Write> CertificatesSink<W> {
    /// Writes to `output`, which should have a buffer.
    #[must_use]
    pub fn new(output: W, style: TextStyle) -> Self {
        Self {
            output,
            style,
            inventory: Inventory::default(),
            missing: Missing::default(),
            judged_at: Timestamp::MIN,
        }
    }
}

impl<W: Write> Sink for CertificatesSink<W> {
    fn needs(&self) -> Needs {
        Needs::NONE
    }

    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.judged_at = self.judged_at.max(event.judged_at);
        self.missing.record(event);
        let Ok(()) = self.inventory.record(event, |_| Ok::<(), Infallible>(()));
        Ok(())
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        let certificates = self.inventory.by_expiry();
        let mut title = counted(certificates.len() as u64, "certificate");
        if !certificates.is_empty() {
            title += &format!(", as of {} UTC", second(self.judged_at));
        }
        writeln!(self.output, "{}", self.style.heading().style(title))?;
        let rows: Vec<_> = certificates
            .iter()
            .map(|shown| row(shown, self.judged_at))
            .collect();
        self.write_table(&rows)?;
        if self.inventory.omitted > 0 {
            let omitted = times(self.inventory.omitted);
            writeln!(self.output, "  and others, shown {omitted}")?;
        }
        let width = self.style.width.unwrap_or(usize::MAX);
        for line in self.missing.lines() {
            for part in wrap(&line, width) {
                writeln!(self.output, "{part}")?;
            }
        }
        self.output.flush()
    }
}

impl<W: Write> CertificatesSink<W> {
    /// Writes the columns for which there is room, and below each row what has no column.
    fn write_table(&mut self, rows: &[[String; 8]]) -> io::Result<()> {
        use Align::{Left, Name};
        let (output, style) = (&mut self.output, self.style);
        let Some(width) = style.width.filter(|width| *width < WIDE) else {
            let align = [Left, Left, Left, Name, Name, Left, Left, Left];
            return write_rows(output, style, align, rows);
        };
        let is_narrow = width < NARROW;
        let mut columns = Vec::new();
        if is_narrow {
            let narrow = rows
                .iter()
                .map(|[until, expires, _, name, ..]| [until, expires, name].map(String::clone));
            let rows: Vec<_> = narrow.collect();
            write_rows(&mut columns, style, [Left, Left, Name], &rows)?;
        } else {
            let medium = rows.iter().map(|[until, expires, role, name, issuer, ..]| {
                [until, expires, role, name, issuer].map(String::clone)
            });
            let rows: Vec<_> = medium.collect();
            write_rows(&mut columns, style, [Left, Left, Left, Name, Name], &rows)?;
        }
        let columns = String::from_utf8_lossy(&columns);
        for (line, [_, _, role, _, issuer, key, times, by]) in columns.lines().zip(rows) {
            writeln!(output, "{line}")?;
            let place = [role, issuer].map(|cell| if is_narrow { cell.as_str() } else { "" });
            let rest = place
                .into_iter()
                .chain([key, times, by].map(String::as_str));
            let rest: Vec<&str> = rest.filter(|cell| !cell.is_empty()).collect();
            for line in wrap(&rest.join("  "), width.saturating_sub(INDENT.len())) {
                let line = line.trim_end();
                writeln!(output, "{INDENT}{line}")?;
            }
        }
        Ok(())
    }
}

fn row(shown: &KnownCertificate, judged_at: Timestamp) -> [String; 8] {
    let roles: Vec<&str> = shown.roles.iter().copied().collect();
    let [until, expires, name, issuer, key] = match &shown.facts {
        Ok(facts) => [
            day(facts.not_after),
            Expiry::new(facts.not_after, judged_at).to_string(),
            printable(&facts.name).into_owned(),
            format!("by {}", printable(&facts.issuer_name)),
            facts.key.to_string(),
        ],
        Err(reason) => [
            String::new(),
            "unreadable".to_owned(),
            printable_message(reason).into_owned(),
            String::new(),
            String::new(),
        ],
    };
    let findings: Vec<&str> = shown.findings.keys().map(|found| found.as_str()).collect();
    let by = match findings.as_slice() {
        [] => peers(shown),
        findings => format!("{}  ! {}", peers(shown), findings.join(", ")),
    };
    let times = format!("shown {}", times(shown.times));
    [
        until,
        expires,
        roles.join(", "),
        name,
        issuer,
        key,
        times,
        by,
    ]
}

fn peers(shown: &KnownCertificate) -> String {
    let named = shown.shown_by.iter().take(NAMED);
    let mut names: Vec<String> = named.map(peer).collect();
    if shown.shown_by_more || shown.shown_by.len() > NAMED {
        names.push("…".to_owned());
    }
    format!("by {}", names.join(", "))
}

fn peer(by: &ShownBy) -> String {
    match (&by.server_name, by.port) {
        (Some(name), Some(port)) => format!("{}:{port}", printable(name)),
        (None, Some(port)) => Endpoint::new(by.address, port).to_string(),
        (_, None) => by.address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    fn table(events: &[Handshake]) -> String {
        let mut output = Vec::new();
        let mut sink = CertificatesSink::new(&mut output, TextStyle::default());
        for event in events {
            sink.handshake(event).unwrap();
        }
        sink.finish(&Stats::default()).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn each_certificate_has_a_row_with_the_peers_that_show_it() {
        let text = table(&test_events::all());
        let expected = "\
2 certificates, as of 2026-03-01 12:00:00 UTC
  2026-03-14  in 12.5 days  server  example.org  by Example CA  RSA 2048  shown once  by example.org:443  ! near_expiry
              unreadable    client  not DER                               shown once  by 10.0.0.1
not sent: 3 handshakes resumed a session, which needs no certificate
not seen: 1 handshake ended, or the capture did, before the certificate was sent
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_narrow_terminal_loses_no_column() {
        let at = |width| {
            let mut output = Vec::new();
            let style = TextStyle {
                color: false,
                width: Some(width),
            };
            let mut sink = CertificatesSink::new(&mut output, style);
            for event in test_events::all() {
                sink.handshake(&event).unwrap();
            }
            sink.finish(&Stats::default()).unwrap();
            let text = String::from_utf8(output).unwrap();
            let rows = text
                .lines()
                .skip(1)
                .take_while(|line| line.starts_with(' '));
            rows.map(|row| format!("{row}\n")).collect::<String>()
        };
        let expected = "  \
  2026-03-14  in 12.5 days  server  example.org  by Example CA
    RSA 2048  shown once  by example.org:443  ! near_expiry
              unreadable    client  not DER
    shown once  by 10.0.0.1
";
        assert_eq!(at(100), expected);
        let expected = "  \
  2026-03-14  in 12.5 days  example.org
    server  by Example CA  RSA 2048  shown once
    by example.org:443  ! near_expiry
              unreadable    not DER
    client  shown once  by 10.0.0.1
";
        assert_eq!(at(50), expected);
    }

    #[test]
    fn a_run_without_certificates_says_so() {
        assert_eq!(table(&[]), "0 certificates\n");
    }

    #[test]
    fn missing_certificates_have_their_reason() {
        let mut hidden = test_events::completed();
        hidden.tls.resumed = Some(false);
        let mut elsewhere = hidden.clone();
        elsewhere.server.port = 8443;
        let mut refused = test_events::refused_by_the_client();
        refused.server_certificates = None;
        let events = [
            hidden.clone(),
            hidden.clone(),
            elsewhere,
            test_events::completed(),
            refused,
        ];
        let expected = "\
0 certificates
not visible: TLS 1.3 encrypts the certificates of 2 TLS endpoints (3 handshakes); `--keylog` decrypts them
not sent: 1 handshake resumed a session, which needs no certificate
not seen: 1 handshake ended, or the capture did, before the certificate was sent
";
        assert_eq!(table(&events), expected);
        // The certificate that a server shows to clients of TLS 1.2 may be another one.
        let text = table(&[hidden, test_events::refused_by_the_client()]);
        assert!(text.contains("certificates of 1 TLS endpoint"), "{text}");
    }

    #[test]
    fn a_hostile_name_cannot_reach_the_terminal() {
        let mut facts = test_events::leaf();
        facts.common_name = Some("\u{1b}[2J\n".into());
        let mut event = test_events::completed();
        event.tls.server_name = Some("\u{202e}x\u{7}".into());
        event.server_certificates = Some(test_events::chain([Ok(facts)]));
        let text = table(&[event]);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']));
    }
}
