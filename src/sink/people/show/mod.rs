//! One handshake in full, for people: verdict, messages, offers, certificates, and where to look further.
//!
//! Every text from the traffic passes through a page, which escapes it and wraps it to the terminal.

mod certificates;
pub(in crate::sink) mod ladder;
mod list;
mod page;
mod selector;
pub(in crate::sink) mod wireshark;

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

pub use list::{Numbered, write_list};
pub use selector::{End, Selector};

use super::summary::milliseconds;
use super::table::{outcome_style, outcome_word};
use super::text::{Cut, TextStyle, fit};
use crate::event::{
    Alert, ClientCertificate, ClosedBy, Directions, EarlyData, Evidence, Handshake,
    HandshakeReport, Ladder, LocalProcess, Outcome, Protocol, RejectedAfter, RenegotiationEnd,
    Resumption, Side, Transport, UnknownBecause,
};
use crate::hex::Hex;
use crate::tls::is_grease;
use page::Page;

/// Writes one handshake in full; `number` is its place in the order of time, of `count`. `wraps`: long lines are broken.
///
/// # Errors
///
/// When the output cannot be written.
pub fn write_handshake<W: Write>(
    output: &mut W,
    style: TextStyle,
    report: &HandshakeReport,
    number: usize,
    count: usize,
    wraps: bool,
) -> io::Result<()> {
    let page = &mut Page::new(output, style, wraps);
    write_headline(page, &report.event, number, count)?;
    write_body(page, report, Source::File)
}

/// Writes one handshake of a live run in full.
#[cfg(live_capture)]
pub(in crate::sink) fn write_live_handshake<W: Write>(
    output: &mut W,
    style: TextStyle,
    report: &HandshakeReport,
) -> io::Result<()> {
    let page = &mut Page::new(output, style, true);
    write_headline(page, &report.event, 1, 1)?;
    write_body(page, report, Source::Interface)
}

/// Where packets came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A capture file: packets have numbers by which they can be found.
    File,
    /// An interface: nobody can look up a packet by its number.
    #[cfg(live_capture)]
    Interface,
}

fn write_body<W: Write>(
    page: &mut Page<'_, W>,
    report: &HandshakeReport,
    source: Source,
) -> io::Result<()> {
    let event = &report.event;
    let empty = Ladder::default();
    let ladder = report.ladder.as_deref().unwrap_or(&empty);
    write_connection(page, event)?;
    write_verdict(page, event)?;
    ladder::write(page, event, ladder, source)?;
    write_times(page, event)?;
    write_negotiated(page, event)?;
    write_offer(page, event)?;
    for (side, chain) in [
        (Side::Server, &event.server_certificates),
        (Side::Client, &event.client_certificates),
    ] {
        certificates::write(page, event, side, chain.as_ref())?;
    }
    write_not_seen(page, event)?;
    match source {
        Source::File => wireshark::write(page, event, ladder),
        #[cfg(live_capture)]
        Source::Interface => wireshark::write_saved(page, event),
    }
}

fn write_headline<W: Write>(
    page: &mut Page<'_, W>,
    event: &Handshake,
    number: usize,
    count: usize,
) -> io::Result<()> {
    let style = outcome_style(page.style, event.outcome);
    let cause = match (&event.error, event.unknown_because) {
        (Some(error), _) => match error.side {
            Some(side) => format!(": {} ({side})", error.error_type),
            None => format!(": {}", error.error_type),
        },
        (None, Some(because)) => format!(": {}", because.explanation()),
        (None, None) => String::new(),
    };
    let outcome = format!("{}{cause}", outcome_word(event.outcome));
    let title = format!("Handshake {number} of {count}");
    let fits = title.width() + 2 + outcome.width() <= page.width;
    let between = if fits { "  " } else { "\n  " };
    let outcome = fit(&outcome, page.width - 2, Cut::End);
    writeln!(
        page.output,
        "{}{between}{}",
        page.style.heading().style(title),
        style.style(outcome)
    )
}

fn write_connection<W: Write>(page: &mut Page<'_, W>, event: &Handshake) -> io::Result<()> {
    let time = event.time.date_time();
    page.fact(
        "time",
        &time.strftime("%Y-%m-%d %H:%M:%S%.6f UTC").to_string(),
    )?;
    page.fact("client", &event.client.to_string())?;
    page.fact("server", &event.server.to_string())?;
    page.maybe("server name", event.tls.server_name.as_deref())?;
    page.maybe("client process", process(event.client_process.as_deref()))?;
    page.maybe("server process", process(event.server_process.as_deref()))?;
    let mut transport = event.transport.as_str().to_owned();
    if event.protocol != Protocol::Tls {
        transport += &format!(", {}", event.protocol.as_str().to_uppercase());
    }
    if let Some(starttls) = event.starttls {
        transport += &format!(", TLS after {}", starttls.as_str());
    }
    page.fact("transport", &transport)?;
    if let Some(proxy) = &event.proxy {
        page.fact("proxy", &proxy.to_string())?;
    }
    if let Some(eap) = event.eap.as_deref() {
        page.maybe("EAP method", eap.method.map(|method| method.as_str()))?;
        page.maybe("user name", eap.user_name.as_deref())?;
        page.maybe("calling station", eap.calling_station_id.as_deref())?;
        page.maybe("called station", eap.called_station_id.as_deref())?;
        page.maybe("NAS identifier", eap.nas_identifier.as_deref())?;
        let result = eap.result.map_or("not seen", |result| result.as_str());
        page.fact("login", result)?;
    }
    if !event.vlan.is_empty() {
        page.fact("VLAN", &list(&event.vlan))?;
    }
    if !event.tunnel.is_empty() {
        page.fact("tunnel", &list(&event.tunnel))?;
    }
    page.fact("flow id", &Hex(&event.flow_id.to_be_bytes()).to_string())?;
    page.fact("community id", &event.community_id())?;
    let fingerprint = &event.fingerprint;
    page.maybe("JA4", fingerprint.ja4.as_deref())?;
    page.maybe("JA3", fingerprint.ja3.as_deref())?;
    page.maybe("JA3S", fingerprint.ja3s.as_deref())
}

/// A process with what it belongs to, as in `nginx[812], nginx.service`.
fn process(process: Option<&LocalProcess>) -> Option<String> {
    let process = process?;
    let name = process.name()?;
    match &process.workload {
        Some(workload) if process.pid.is_some() => Some(format!("{name}, {}", workload.name())),
        _ => Some(name),
    }
}

/// What the outcome is, and what it rests on.
fn write_verdict<W: Write>(page: &mut Page<'_, W>, event: &Handshake) -> io::Result<()> {
    page.heading("Verdict")?;
    page.fact("outcome", event.outcome.as_str())?;
    if let Some(error) = &event.error {
        page.fact("cause", &error.message)?;
        page.fact("gave up", gave_up(error.side))?;
        page.maybe("try", error.hint.as_deref())?;
    }
    if let Some(because) = event.unknown_because {
        page.fact("no verdict", because.explanation())?;
    }
    page.fact("evidence", &evidence(event))?;
    let observations = event
        .inference
        .iter()
        .flat_map(|how| how.observations.iter());
    for (index, observation) in observations.enumerate() {
        page.fact(if index == 0 { "seen" } else { "" }, observation)?;
    }
    if let Some(rejected) = &event.rejected_after {
        write_rejection(page, rejected)?;
    }
    for (index, alert) in event.alerts.iter().enumerate() {
        page.fact(if index == 0 { "alerts" } else { "" }, &alert_text(alert))?;
    }
    page.maybe("closed", event.closed_by.map(closed))?;
    page.maybe("packets saved to", event.saved_to.as_deref())
}

const fn gave_up(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Client) => "the client",
        Some(Side::Server) => "the server",
        None => "neither side can be named",
    }
}

pub(in crate::sink) fn evidence(event: &Handshake) -> String {
    match (event.evidence, &event.inference) {
        (Evidence::Observed, _) if event.outcome == Outcome::Unknown => {
            "the evidence does not support a verdict".to_owned()
        }
        (Evidence::Observed, _) => {
            "observed: messages in the clear, and how the connection ended".to_owned()
        }
        (Evidence::Decrypted, _) => "decrypted with the key log".to_owned(),
        (Evidence::Inferred, Some(how)) => match event.confidence {
            Some(confidence) => {
                let basis = match how.rule {
                    "D1" => "flights that were not answered",
                    _ => "the shape of encrypted records",
                };
                format!(
                    "inferred by rule {}, from {basis}; confidence {confidence:.2}",
                    how.rule
                )
            }
            None => format!("inferred by rule {}", how.rule),
        },
        (Evidence::Inferred, None) => "inferred".to_owned(),
    }
}

fn write_rejection<W: Write>(page: &mut Page<'_, W>, rejected: &RejectedAfter) -> io::Result<()> {
    let RejectedAfter {
        error_type,
        side,
        evidence,
        confidence,
        observations,
        hint,
    } = rejected;
    let text = format!(
        "the {side} refused its peer after the handshake: {error_type} ({evidence}, confidence {confidence:.2})"
    );
    page.styled_fact("afterwards", &text, page.style.bad())?;
    observations
        .iter()
        .try_for_each(|observation| page.fact("", observation))?;
    page.maybe("try", hint.as_deref())
}

pub(in crate::sink) fn alert_text(alert: &Alert) -> String {
    let sender = alert.sender;
    let how = if alert.encrypted {
        "encrypted"
    } else {
        "in the clear"
    };
    match (alert.description, alert.level) {
        (Some(description), Some(level)) => {
            let code = description.0;
            format!("{description} ({code}) by the {sender}, {level}, {how}")
        }
        (Some(description), None) => {
            format!("{description} ({}) by the {sender}, {how}", description.0)
        }
        (None, _) => format!("by the {sender}, {how}: its code is not visible"),
    }
}

pub(in crate::sink) const fn closed(closed_by: ClosedBy) -> &'static str {
    match closed_by {
        ClosedBy::ClientFin => "first by the client (FIN)",
        ClosedBy::ClientRst => "first by the client (RST)",
        ClosedBy::ServerFin => "first by the server (FIN)",
        ClosedBy::ServerRst => "first by the server (RST)",
        ClosedBy::QuicClose => "by CONNECTION_CLOSE",
        ClosedBy::CaptureEnd => "no close captured",
    }
}

fn write_times<W: Write>(page: &mut Page<'_, W>, event: &Handshake) -> io::Result<()> {
    let timing = &event.timing;
    let phases = [
        ("TCP connect", timing.tcp_connect),
        ("STARTTLS", timing.starttls),
        ("ServerHello", timing.server_hello),
        ("handshake", timing.handshake),
        ("client's view", timing.handshake_client_view),
        ("server's view", timing.handshake_server_view),
        ("first data", timing.first_application_data),
    ];
    if phases.iter().all(|(_, duration)| duration.is_none()) {
        return Ok(());
    }
    page.heading("Times, in ms")?;
    let text = |duration: Duration| milliseconds(duration);
    phases
        .into_iter()
        .try_for_each(|(phase, duration)| page.maybe(phase, duration.map(text)))
}

fn write_negotiated<W: Write>(page: &mut Page<'_, W>, event: &Handshake) -> io::Result<()> {
    let tls = &event.tls;
    if tls.version.is_none() && tls.cipher_suite.is_none() {
        return Ok(());
    }
    page.heading("Negotiated")?;
    page.maybe("version", tls.version.map(|version| version.to_string()))?;
    page.maybe(
        "cipher suite",
        tls.cipher_suite.map(|suite| suite.to_string()),
    )?;
    page.maybe("group", tls.group.map(|group| group.to_string()))?;
    page.fact("key exchange", tls.key_exchange().as_str())?;
    page.maybe("ALPN", tls.alpn.as_deref())?;
    page.maybe(
        "resumed",
        tls.resumed
            .map(|resumed| resumption(resumed, tls.resumption)),
    )?;
    page.maybe("0-RTT", tls.early_data.map(EarlyData::as_str))?;
    let hello_retry = tls.hello_retry_request == Some(true);
    page.maybe(
        "HelloRetryRequest",
        hello_retry.then_some("sent by the server"),
    )?;
    page.fact(
        "client certificate",
        client_certificate(tls.client_certificate),
    )?;
    if let Some(authorities) = &tls.certificate_authorities {
        let text = if authorities.is_empty() {
            "any (no names in the CertificateRequest)".to_owned()
        } else {
            authorities.join("; ")
        };
        page.fact("accepted issuers", &text)?;
    }
    let stapled = tls.ocsp_stapled.then_some("stapled by the server");
    page.maybe("OCSP response", stapled)?;
    if tls.signed_certificate_timestamps > 0 {
        let count = tls.signed_certificate_timestamps;
        page.fact("SCTs", &format!("{count} in the ServerHello"))?;
    }
    page.maybe(
        "renegotiation",
        tls.renegotiation.map(|seen| match seen.ended {
            RenegotiationEnd::Completed => format!("{}, the last completed", seen.count),
            RenegotiationEnd::Failed => format!("{}, the last failed", seen.count),
            RenegotiationEnd::Open => format!("{}, the last did not complete in view", seen.count),
        }),
    )?;
    let unused = tls.unused == Some(true);
    page.maybe(
        "unused",
        unused.then_some("closed before any application data"),
    )
}

pub(in crate::sink) const fn resumption(resumed: bool, by: Option<Resumption>) -> &'static str {
    match (resumed, by) {
        (false, _) => "no",
        (true, Some(Resumption::SessionId)) => "yes, by session id",
        (true, Some(Resumption::Ticket)) => "yes, by ticket",
        (true, Some(Resumption::Psk)) => "yes, by pre-shared key",
        (true, None) => "yes",
    }
}

pub(in crate::sink) const fn client_certificate(state: ClientCertificate) -> &'static str {
    match state {
        ClientCertificate::NotRequested => "not requested",
        ClientCertificate::Requested => "requested, answer not captured",
        ClientCertificate::Absent => "requested, and the client sent none",
        ClientCertificate::Presented => "requested and presented",
        ClientCertificate::Unknown => "not known",
    }
}

/// What the client offered, in names.
fn write_offer<W: Write>(page: &mut Page<'_, W>, event: &Handshake) -> io::Result<()> {
    let tls = &event.tls;
    if tls.offered_versions.is_none() && tls.sslv2_cipher_specs.is_none() {
        return Ok(());
    }
    page.heading("Offered by the client, in its order")?;
    let versions = tls.offered_versions.as_deref();
    page.maybe(
        "versions",
        versions.map(|versions| names(versions, |v| (v.0, v.to_string()))),
    )?;
    let suites = tls.offered_cipher_suites.as_deref();
    page.maybe(
        "cipher suites",
        suites.map(|all| names(all, |one| (one.0, one.to_string()))),
    )?;
    if let Some(specs) = &tls.sslv2_cipher_specs {
        let specs: Vec<_> = specs.iter().map(|spec| format!("{spec:#08x}")).collect();
        page.fact("SSLv2 specs", &specs.join(", "))?;
    }
    let groups = tls.offered_groups.as_deref();
    page.maybe(
        "groups",
        groups.map(|all| names(all, |one| (one.0, one.to_string()))),
    )?;
    let shares = tls.key_share_groups.as_deref();
    page.maybe(
        "key shares",
        shares.map(|all| names(all, |one| (one.0, one.to_string()))),
    )?;
    let schemes = tls.signature_algorithms.as_deref();
    page.maybe(
        "signatures",
        schemes.map(|all| names(all, |one| (one.0, one.to_string()))),
    )?;
    page.maybe("ALPN", tls.alpn_offered.as_deref().map(list_or_none))?;
    let ech = tls.ech_offered == Some(true);
    page.maybe(
        "ECH",
        ech.then_some("offered (a GREASE offer looks the same)"),
    )
}

/// Names with commas between them; GREASE is marked, and what has no name is a number.
pub(in crate::sink) fn names<T: Copy>(
    values: &[T],
    describe: impl Fn(T) -> (u16, String),
) -> String {
    let name = |value: &T| match describe(*value) {
        (code, _) if is_grease(code) => format!("GREASE({code:#06x})"),
        (_, name) => name,
    };
    let names: Vec<String> = values.iter().map(name).collect();
    list_or_none(&names)
}

pub(in crate::sink) fn list_or_none(items: &[impl Display]) -> String {
    match items {
        [] => "an empty list".to_owned(),
        items => list(items),
    }
}

fn list(items: &[impl Display]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

/// What a reader may expect to see and does not, with the reason.
fn write_not_seen<W: Write>(page: &mut Page<'_, W>, event: &Handshake) -> io::Result<()> {
    let missing = not_seen(event);
    if missing.is_empty() {
        return Ok(());
    }
    page.heading("Not seen")?;
    missing.iter().try_for_each(|what| page.item(what))
}

pub(in crate::sink) fn not_seen(event: &Handshake) -> Vec<String> {
    let tls = &event.tls;
    let capture = &event.capture;
    let mut missing = Vec::new();
    let mut add = |is_missing: bool, what: &str| {
        if is_missing {
            missing.push(what.to_owned());
        }
    };
    // That a server does not answer is what such a verdict says.
    let is_silent = event.unknown_because == Some(UnknownBecause::NoAnswer)
        || event.transport == Transport::Udp && event.outcome == Outcome::Failure;
    add(
        capture.directions == Directions::ClientOnly,
        match is_silent {
            true => "any packet of the server",
            false => "packets of the server: the capture has one direction only",
        },
    );
    add(
        capture.directions == Directions::ServerOnly,
        "packets of the client: the capture has one direction only",
    );
    let has_hello = tls.offered_versions.is_some() || tls.sslv2_cipher_specs.is_some();
    add(!has_hello, "the ClientHello");
    add(tls.version.is_none(), "a ServerHello");
    add(
        event.transport == Transport::Tcp && event.timing.tcp_connect.is_none(),
        "TCP's own handshake, in full and in time",
    );
    let is_hidden = tls.version.is_some_and(|version| version.is_tls13())
        && event.evidence != Evidence::Decrypted;
    let certificate = match () {
        () if event.server_certificates.is_some() || tls.version.is_none() => None,
        () if tls.resumed == Some(true) => {
            Some("the server's certificate: a resumed session sends none")
        }
        () if is_hidden => {
            Some("the server's certificate: TLS 1.3 encrypts it, and `--keylog FILE` decrypts it")
        }
        () => Some("the server's certificate"),
    };
    add(certificate.is_some(), certificate.unwrap_or_default());
    add(
        is_hidden && event.client_certificates.is_none() && !is_settled(tls.client_certificate),
        "the client's certificate, if there is one: TLS 1.3 encrypts it",
    );
    add(
        event.alerts.iter().any(|alert| alert.description.is_none()),
        "what the encrypted alert says",
    );
    match event.eap.as_deref() {
        Some(eap) => add(eap.result.is_none(), "the end of the login"),
        None => add(
            event.closed_by.is_none(),
            "the end of the connection: the verdict was certain before it",
        ),
    }
    for (side, bytes) in [
        (Side::Client, capture.client_gap_bytes),
        (Side::Server, capture.server_gap_bytes),
    ] {
        add(
            bytes > 0,
            &format!("{bytes} bytes of the {side}, which the capture lacks"),
        );
    }
    add(
        capture.conflicting_bytes > 0,
        &format!(
            "which of two versions each peer took: {} bytes were sent again with different content",
            capture.conflicting_bytes
        ),
    );
    add(
        capture.truncated,
        "parts of packets: the snap length or a limit of tlscope cut them off",
    );
    missing
}

/// Whether it is known that there is no client certificate to see.
const fn is_settled(state: ClientCertificate) -> bool {
    matches!(
        state,
        ClientCertificate::NotRequested | ClientCertificate::Absent
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{LadderStep, StepKind};
    use crate::sink::test_events;
    use crate::tls::{AlertDescription, AlertLevel, ContentType, HandshakeType};

    fn step(sender: Side, packet: u64, kind: StepKind, encrypted: bool) -> LadderStep {
        LadderStep {
            time: test_events::START.saturating_add(Duration::from_micros(900 * packet)),
            source: "capture.pcapng".into(),
            packet,
            sender,
            kind,
            bytes: Some(100),
            encrypted,
        }
    }

    /// A refused handshake with steps of every kind.
    fn report() -> HandshakeReport {
        let mut report = HandshakeReport::new(test_events::refused_by_the_client());
        let refusal = (AlertLevel::Fatal, AlertDescription::CertificateUnknown);
        let record = StepKind::Record(ContentType::ApplicationData);
        let mut steps = vec![
            step(
                Side::Client,
                12,
                StepKind::Message(HandshakeType::ClientHello),
                false,
            ),
            step(
                Side::Server,
                13,
                StepKind::PartialMessage(HandshakeType::ServerHello),
                false,
            ),
            step(Side::Server, 14, StepKind::Gap, false),
            step(Side::Server, 15, StepKind::ChangeCipherSpec, false),
        ];
        steps.extend((16..22).map(|packet| step(Side::Server, packet, record, true)));
        steps.extend([
            step(Side::Client, 22, StepKind::Alert(Some(refusal)), true),
            step(Side::Client, 23, StepKind::Alert(None), true),
            step(Side::Server, 24, StepKind::ApplicationData, true),
            step(Side::Server, 25, StepKind::NotTls, false),
            step(Side::Client, 26, StepKind::Fin, false),
            step(Side::Server, 27, StepKind::Rst, false),
        ]);
        report.ladder = Some(Box::new(Ladder { steps, omitted: 2 }));
        report
    }

    fn shown(report: &HandshakeReport, width: Option<usize>, color: bool) -> String {
        let mut output = Vec::new();
        write_handshake(&mut output, TextStyle { color, width }, report, 3, 16, true).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn lines_fit_the_terminal() {
        let mut long = report();
        long.event.tls.server_name = Some("例.".repeat(60).into());
        let chain = [(); 3].map(|()| Ok(test_events::leaf()));
        long.event.server_certificates = Some(test_events::chain(chain));
        long.event.client_certificates = Some([].into());
        for width in [36, 40, 60, 80, 120] {
            for report in [&report(), &long] {
                let text = shown(report, Some(width), false);
                for line in text.lines() {
                    assert!(line.width() <= width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn the_ladder_has_a_line_for_each_step_and_joins_equal_records() {
        let expected = "\
Messages
      ms  packet  client                                                server  bytes
  10.800      12  ClientHello ───────────────────────────────────────────────▶    100
  11.700      13  ◀────────────────────────────────── ServerHello (incomplete)    100
                  (gap in the capture, from the server)                           100
  13.500      15  ◀────────────────────────────────────────── ChangeCipherSpec    100
  14.400      16  ◀╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ encrypted record ×6    600
  19.800      22  Alert certificate_unknown (fatal) ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▶    100
  20.700      23  Alert ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▶    100
  21.600      24  ◀╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ application data    100
  22.500      25  ◀─────────────────────────────────────────────────── not TLS    100
  23.400      26  TCP FIN ───────────────────────────────────────────────────▶    100
  24.300      27  ◀─────────────────────────────────────────────────── TCP RST    100
  and 2 more (not kept)
  ── in the clear   ╌╌ encrypted
";
        let text = shown(&report(), None, false);
        let from = text.find("Messages").unwrap();
        let ladder = text[from..]
            .split_inclusive('\n')
            .take(15)
            .collect::<String>();
        assert_eq!(ladder, expected);
    }

    #[test]
    fn a_narrow_terminal_has_short_arrows() {
        let text = shown(&report(), Some(40), false);
        assert!(
            text.contains("  10.800      12  → ClientHello      100\n"),
            "{text}"
        );
        assert!(
            text.contains("  → client  ← server  * encrypted\n"),
            "{text}"
        );
    }

    #[test]
    fn a_hostile_name_cannot_reach_the_terminal() {
        let mut report = report();
        let event = &mut report.event;
        let hostile = "\u{1b}[2J\n\u{202e}x\u{7}";
        event.tls.server_name = Some(hostile.into());
        event.tls.alpn_offered = Some(vec![hostile.into()]);
        event.tls.alpn = Some(hostile.into());
        event.error.as_mut().unwrap().message = hostile.into();
        event.error.as_mut().unwrap().hint = Some(hostile.into());
        event.source = hostile.into();
        let mut facts = test_events::leaf();
        facts.subject = hostile.into();
        facts.issuer = hostile.into();
        facts.dns_names = vec![hostile.into()];
        let chain = test_events::chain([Ok(facts), Err(hostile.into())]);
        event.validation[0].certificate = chain[0].clone();
        event.server_certificates = Some(chain);
        event.validation[0].detail = hostile.into();
        let lines = shown(&self::report(), None, false).lines().count();
        for width in [None, Some(40), Some(80)] {
            let text = shown(&report, width, false);
            assert!(
                text.chars().all(|c| c == '\n' || !c.is_control()),
                "{text:?}"
            );
            assert!(!text.contains('\u{202e}'));
            assert!(
                width.is_some() || text.lines().count() < lines + 20,
                "{text}"
            );
        }
    }

    #[test]
    fn colour_adds_nothing_but_escapes() {
        let colored = shown(&report(), Some(80), true);
        assert!(colored.contains("\u{1b}[31;1mFAILED: unknown_ca (client)"));
        let stripped = anstream::adapter::strip_str(&colored).to_string();
        assert_eq!(stripped, shown(&report(), Some(80), false));
    }

    #[test]
    fn what_udp_and_eap_do_not_have_is_not_missed() {
        let mut event = test_events::completed();
        let misses = |event: &Handshake, what: &str| {
            let missing = not_seen(event);
            missing.iter().any(|line| line.starts_with(what))
        };
        event.timing.tcp_connect = None;
        event.closed_by = None;
        assert!(misses(&event, "TCP's own handshake") && misses(&event, "the end of the conn"));
        event.transport = Transport::Udp;
        assert!(!misses(&event, "TCP's own handshake"));
        let mut eap = crate::event::EapFacts::default();
        event.eap = Some(Box::new(eap.clone()));
        assert!(misses(&event, "the end of the login") && !misses(&event, "the end of the conn"));
        eap.result = Some(crate::event::EapResult::Reject);
        event.eap = Some(Box::new(eap));
        assert!(!misses(&event, "the end of the"));
    }

    #[test]
    fn a_server_that_does_not_answer_is_no_fault_of_the_capture() {
        let mut event = test_events::barely_seen();
        event.transport = Transport::Udp;
        event.capture.directions = Directions::ClientOnly;
        let first = |event: &Handshake| not_seen(event).swap_remove(0);
        event.unknown_because = Some(UnknownBecause::OneDirection);
        assert!(first(&event).ends_with("the capture has one direction only"));
        event.unknown_because = Some(UnknownBecause::NoAnswer);
        assert_eq!(first(&event), "any packet of the server");
    }

    #[test]
    fn every_event_can_be_shown() {
        for event in test_events::all() {
            let text = shown(&HandshakeReport::new(event), Some(80), false);
            assert!(text.contains("\nVerdict\n") && text.contains("\nIn Wireshark\n"));
        }
    }
}
