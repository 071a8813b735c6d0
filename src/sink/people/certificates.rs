//! A table of the certificates of a run, ordered by expiry, and of the peers that show them.
//!
//! Written once, at the end. Lists at most twenty thousand distinct certificates.

use std::convert::Infallible;
use std::io::{self, Write};

use super::summary::{counted, second, times};
use super::text::{Align, TextStyle, printable, write_rows};
use crate::certificate::Expiry;
use crate::event::Handshake;
use crate::sink::Sink;
use crate::sink::files::inventory::{Inventory, KnownCertificate, ShownBy};
use crate::stats::Stats;
use crate::time::Timestamp;

/// Peers named in a row.
const NAMED: usize = 3;

/// Collects certificates, and writes the table at the end.
#[derive(Debug)]
pub struct CertificatesSink<W> {
    output: W,
    style: TextStyle,
    inventory: Inventory,
    /// The latest moment at which certificates were validated.
    judged_at: Timestamp,
}

impl<W: Write> CertificatesSink<W> {
    /// Writes to `output`, which should have a buffer.
    #[must_use]
    pub fn new(output: W, style: TextStyle) -> Self {
        Self {
            output,
            style,
            inventory: Inventory::default(),
            judged_at: Timestamp::MIN,
        }
    }
}

impl<W: Write> Sink for CertificatesSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.judged_at = self.judged_at.max(event.judged_at);
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
        write_rows(&mut self.output, self.style, [Align::Left; 7], &rows)?;
        if self.inventory.omitted > 0 {
            let omitted = times(self.inventory.omitted);
            writeln!(self.output, "  and others, shown {omitted}")?;
        }
        self.output.flush()
    }
}

fn row(shown: &KnownCertificate, judged_at: Timestamp) -> [String; 7] {
    let roles: Vec<&str> = shown.roles.iter().copied().collect();
    let [expires, name, issuer, key] = match &shown.facts {
        Ok(facts) => [
            Expiry::new(facts.not_after, judged_at).to_string(),
            printable(&facts.name).into_owned(),
            format!("by {}", printable(&facts.issuer_name)),
            facts.key.to_string(),
        ],
        Err(reason) => [
            "unreadable".to_owned(),
            printable(reason).into_owned(),
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
    [expires, roles.join(", "), name, issuer, key, times, by]
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
        (None, Some(port)) => crate::flow::Endpoint::new(by.address, port).to_string(),
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
  in 12.5 days  server  example.org  by Example CA  RSA 2048  shown once  by example.org:443  ! near_expiry
  unreadable    client  not DER                               shown once  by 10.0.0.1
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_run_without_certificates_says_so() {
        assert_eq!(table(&[]), "0 certificates\n");
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
