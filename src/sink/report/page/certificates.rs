//! The certificates: when they expire, and what is wrong with them.

use maud::{Markup, html};

use super::super::tallies::Tallies;
use super::super::text::{counted, shown};
use super::table::{Cell, Column, table};
use super::{legend, nothing, plot};
use crate::certificate::{CertificateTime, Expiry};
use crate::event::ErrorType;
use crate::sink::files::inventory::{CertificateSummary, KnownCertificate, ShownBy};
use crate::sink::people::summary::second;
use crate::time::Timestamp;

/// Most certificates that the timeline lists.
const TOP: usize = 200;

/// Peers named for a certificate.
const NAMED: usize = 3;

/// A certificate with fewer days left is drawn as near its end, and one with fewer percent of its lifetime left is not spared for
/// being short-lived: both as `--near-expiry` has them by default.
const NEAR_DAYS: f64 = 30.0;
const NEAR_SHARE: f64 = 0.33;

pub(super) fn section(tallies: &Tallies) -> Markup {
    if tallies.handshakes == 0 {
        return html! {};
    }
    let certificates = tallies.certificates.by_expiry();
    let body = html! {
        @if certificates.is_empty() {
            (nothing("No certificate was seen."))
        } @else {
            (timeline(tallies, &certificates))
        }
        (findings(tallies))
        @let lines = tallies.missing.lines();
        @if !lines.is_empty() {
            ul.remarks { @for line in lines { li { (line) } } }
        }
    };
    let lead = if certificates.is_empty() {
        String::new()
    } else {
        format!(
            "{} as of {} UTC, the soonest to expire first.",
            counted(certificates.len() as u64, "certificate"),
            second(tallies.judged_at)
        )
    };
    super::section("certificates", "Certificates", &lead, &body)
}

fn timeline(tallies: &Tallies, certificates: &[&KnownCertificate]) -> Markup {
    let at = tallies.judged_at;
    let rows: Vec<_> = certificates
        .iter()
        .take(TOP)
        .map(|certificate| row(certificate, at))
        .collect();
    let columns = [
        Column::Text("Certificate"),
        Column::Text("Role"),
        Column::Plot(plot::days_labels()),
        Column::Text("Expires"),
        Column::Number("Days left"),
        Column::Text("Shown by"),
        Column::Number("Times"),
    ];
    let others = certificates.len().saturating_sub(TOP) as u64;
    let others =
        (others > 0).then(|| format!("and {} that expire later", counted(others, "certificate")));
    html! {
        figure {
            figcaption { "Expiry" span.note { " validity before and after the last handshake, on a logarithmic axis of days" } }
            (table("Certificates by expiry", &columns, rows, others.as_deref()))
        }
    }
}

fn row(certificate: &KnownCertificate, at: Timestamp) -> Vec<Cell> {
    let roles: Vec<_> = certificate.roles.iter().copied().collect();
    let roles = roles.join(", ");
    let [validity, expires, days, name] = match &certificate.facts {
        Ok(facts) => facts_cells(facts, at),
        Err(reason) => [
            Cell::markup(html! {}),
            Cell::text("–"),
            Cell::sorted(html! { span.none { "–" } }, i64::MAX),
            Cell::markup(html! { "unreadable: " (shown(reason)) }),
        ],
    };
    let findings: Vec<_> = certificate
        .findings
        .keys()
        .map(|finding| finding.as_str())
        .collect();
    let name = if findings.is_empty() {
        name
    } else {
        name.with_below(html! { span.note.findings { (findings.join(", ")) } })
    };
    vec![
        name,
        Cell::text(roles),
        validity,
        expires,
        days,
        Cell::text(shown_by(certificate)),
        Cell::count(certificate.times),
    ]
}

fn facts_cells(facts: &CertificateSummary, at: Timestamp) -> [Cell; 4] {
    let expiry = Expiry::new(facts.not_after, at);
    let not_before = Expiry::new(facts.not_before, at).days();
    let lifetime = facts.not_after.seconds_since(facts.not_before) as f64 / 86_400.0;
    let class = match expiry.days() {
        _ if expiry.is_past() => "bad",
        days if days < NEAR_DAYS && days < lifetime * NEAR_SHARE => "near",
        _ => "ok",
    };
    let label = format!("valid from {} to {}", facts.not_before, facts.not_after);
    [
        // A certificate that is not valid yet is as invalid as one that has expired.
        Cell::markup(plot::validity(
            not_before,
            expiry.days(),
            if not_before > 0.0 { "bad" } else { class },
            &label,
        )),
        Cell::sorted(
            html! { span.date { (date(facts.not_after)) } },
            facts.not_after,
        ),
        Cell::sorted(
            html! { span class={ "days " (class) } { (format!("{:.1}", expiry.rounded_days())) } },
            expiry.rounded_days(),
        ),
        Cell::text(shown(&facts.name))
            .with_below(html! { span.note { "by " (shown(&facts.issuer_name)) } }),
    ]
}

fn date(time: CertificateTime) -> String {
    let text = time.to_string();
    text.split('T').next().unwrap_or(&text).to_owned()
}

fn shown_by(certificate: &KnownCertificate) -> String {
    let peer = |by: &ShownBy| match (&by.server_name, by.port) {
        (Some(name), Some(port)) => format!("{}:{port}", shown(name)),
        (None, Some(port)) => crate::flow::Endpoint::new(by.address, port).to_string(),
        (_, None) => by.address.to_string(),
    };
    let mut peers: Vec<_> = certificate.shown_by.iter().take(NAMED).map(peer).collect();
    if certificate.shown_by_more || certificate.shown_by.len() > NAMED {
        peers.push("…".to_owned());
    }
    peers.join(", ")
}

fn findings(tallies: &Tallies) -> Markup {
    let counted = ErrorType::ALL.iter().zip(tallies.findings);
    let mut found: Vec<_> = counted
        .filter(|(_, counts)| counts.iter().sum::<u64>() > 0)
        .collect();
    if found.is_empty() {
        return html! {};
    }
    found.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<u64>()));
    let most = found.first().map_or(0, |(_, counts)| counts.iter().sum());
    let parts = [
        ("client", "client's certificates"),
        ("server", "server's certificates"),
    ];
    let rows = found.into_iter().map(|(finding, counts)| {
        let [client, server] = counts;
        vec![
            Cell::markup(html! { code { (finding) } }),
            Cell::markup(plot::bar(parts, counts, most)),
            Cell::count(client),
            Cell::count(server),
        ]
    });
    let columns = [
        Column::Text("Finding"),
        Column::Bar,
        Column::Number("Client's"),
        Column::Number("Server's"),
    ];
    html! {
        figure {
            figcaption { "Findings" span.note { " in how many handshakes, and on whose certificates" } }
            (legend(parts))
            (table("Findings on certificates", &columns, rows.collect(), None))
        }
    }
}
