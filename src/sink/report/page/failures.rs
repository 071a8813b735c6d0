//! Why handshakes failed, and between whom.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::tallies::{ClientCounts, ServerCounts, Tallies};
use super::super::text::{counted, grouped, shown};
use super::table::{Cell, Column, table};
use super::{legend, nothing, plot};
use crate::event::{ErrorType, Outcome};
use crate::sink::milliseconds;
use crate::sink::people::summary::second;

/// Most servers and clients that a table lists.
const TOP: usize = 60;

/// Causes named for a peer.
const CAUSES: usize = 3;

/// Who gave up, as counted in [`Tallies::failures`].
const SIDES: plot::Parts<3> = [
    ("client", "client gave up"),
    ("server", "server gave up"),
    ("neither", "neither can be named"),
];

/// Outcomes of a peer, in the order of [`Outcome`].
const OUTCOMES: plot::Parts<3> = [
    ("ok", "succeeded"),
    ("bad", "failed"),
    ("unknown", "unknown"),
];

pub(super) fn section(tallies: &Tallies) -> Markup {
    if tallies.handshakes == 0 {
        return html! {};
    }
    let causes = causes(tallies);
    let body = html! {
        @if causes.is_empty() {
            (nothing("No handshake failed."))
        } @else {
            figure {
                figcaption { "Failures by cause, and the side that gave up" }
                (legend(SIDES))
                (table_of_causes(&causes))
            }
        }
        (table_of_servers(tallies))
        (table_of_clients(tallies))
        (table_of_mutual_peers(tallies))
    };
    super::section("failures", "Failures, servers and clients", "", &body)
}

/// The causes of failures, the most frequent first, with their counts by side.
pub(super) fn causes(tallies: &Tallies) -> Vec<(ErrorType, [u64; 3])> {
    let all = ErrorType::ALL.iter().copied().zip(tallies.failures);
    let mut causes: Vec<_> = all.filter(|(_, counts)| total(counts) > 0).collect();
    causes.sort_by_key(|(_, counts)| std::cmp::Reverse(total(counts))); // stable: ties in order of the documentation
    causes
}

fn total(counts: &[u64; 3]) -> u64 {
    counts.iter().sum()
}

fn table_of_causes(causes: &[(ErrorType, [u64; 3])]) -> Markup {
    let most = causes.first().map_or(0, |(_, counts)| total(counts));
    let rows = causes.iter().map(|(cause, counts)| {
        let [client, server, neither] = *counts;
        vec![
            Cell::markup(
                html! { a.filter href="#handshakes" data-filter=(cause) { code { (cause) } } },
            ),
            Cell::markup(plot::bar(SIDES, *counts, most)),
            Cell::count(client),
            Cell::count(server),
            Cell::count(neither),
            Cell::count(total(counts)),
        ]
    });
    let columns = [
        Column::Text("Cause"),
        Column::Bar,
        Column::Number("Client"),
        Column::Number("Server"),
        Column::Number("Neither"),
        Column::Number("Failures"),
    ];
    table("Failures by cause and side", &columns, rows.collect(), None)
}

fn table_of_servers(tallies: &Tallies) -> Markup {
    let (servers, others) = tallies.servers.top(TOP, ServerCounts::weight);
    let most = servers
        .iter()
        .map(|(_, counts)| total(&counts.outcomes))
        .max();
    let rows = servers
        .iter()
        .map(|(name, counts)| server_row(name, counts, most.unwrap_or(0)));
    let columns = [
        Column::Text("Server"),
        Column::Number("Handshakes"),
        Column::Bar,
        Column::Number("Failed"),
        Column::Number("Rejected afterwards"),
        Column::Number("p50 ms"),
        Column::Number("p99 ms"),
        Column::Number("Post-quantum"),
        Column::Text("Causes"),
    ];
    html! {
        figure {
            figcaption { "Servers" span.note { " by failures, then by handshakes" } }
            (table("Servers", &columns, rows.collect(), others_of(others, "servers").as_deref()))
        }
    }
}

fn server_row(name: &str, counts: &ServerCounts, most: u64) -> Vec<Cell> {
    let duration = |percent| {
        if counts.durations.count() == 0 {
            return Cell::sorted(html! { span.none { "–" } }, -1);
        }
        let duration = milliseconds(counts.durations.percentile(percent));
        Cell::sorted(html! { (format!("{duration:.2}")) }, duration)
    };
    let post_quantum = if counts.answered == 0 {
        Cell::sorted(html! { span.none { "–" } }, -1)
    } else {
        let share = counts.post_quantum as f64 * 100.0 / counts.answered as f64;
        Cell::sorted(html! { (format!("{share:.0} %")) }, format!("{share:.3}"))
    };
    vec![
        name_cell(name),
        Cell::count(total(&counts.outcomes)),
        Cell::markup(plot::bar(OUTCOMES, counts.outcomes, most)),
        Cell::count(counts.outcomes[Outcome::Failure as usize]),
        Cell::count(counts.rejected_after),
        duration(50),
        duration(99),
        post_quantum,
        Cell::text(named_causes(&counts.causes)),
    ]
}

fn table_of_clients(tallies: &Tallies) -> Markup {
    let (clients, others) = tallies.clients.top(TOP, ClientCounts::weight);
    let most = clients
        .iter()
        .map(|(_, counts)| total(&counts.outcomes))
        .max();
    let rows = clients
        .iter()
        .map(|(address, counts)| client_row(&address.to_string(), counts, most.unwrap_or(0)));
    let columns = [
        Column::Text("Client"),
        Column::Number("Handshakes"),
        Column::Bar,
        Column::Number("Failed"),
        Column::Number("Rejected afterwards"),
        Column::Text("Oldest version"),
        Column::Text("Causes"),
    ];
    html! {
        figure {
            figcaption { "Clients" span.note { " by failures, then by handshakes" } }
            (table("Clients", &columns, rows.collect(), others_of(others, "clients").as_deref()))
        }
    }
}

/// The clients that showed a certificate, with the servers that they showed it to; nothing without one.
fn table_of_mutual_peers(tallies: &Tallies) -> Markup {
    let (pairs, others) = tallies.mutual.top(TOP);
    let rows: Vec<_> = pairs
        .into_iter()
        .map(|(pair, counts)| {
            vec![
                Cell::text(shown(&pair.client)),
                Cell::text(shown(&pair.server)),
                Cell::count(counts.handshakes),
                Cell::count(counts.failures),
                Cell::text(second(counts.last_seen)),
            ]
        })
        .collect();
    let columns = [
        Column::Text("Client"),
        Column::Text("Server"),
        Column::Number("Handshakes"),
        Column::Number("Failed"),
        Column::Text("Last seen (UTC)"),
    ];
    html! {
        @if !rows.is_empty() {
            figure {
                figcaption { "Clients with certificates, and their servers" span.note { " by failures, then by handshakes" } }
                (table("Clients and servers", &columns, rows, others_of(others, "pairs").as_deref()))
            }
        }
    }
}

fn client_row(name: &str, counts: &ClientCounts, most: u64) -> Vec<Cell> {
    let oldest = counts.oldest.map(|version| version.to_string());
    vec![
        name_cell(name),
        Cell::count(total(&counts.outcomes)),
        Cell::markup(plot::bar(OUTCOMES, counts.outcomes, most)),
        Cell::count(counts.outcomes[Outcome::Failure as usize]),
        Cell::count(counts.rejected_after),
        Cell::text(oldest.as_deref().unwrap_or("–")),
        Cell::text(named_causes(&counts.causes)),
    ]
}

/// The name of a peer, which shows its handshakes.
fn name_cell(name: &str) -> Cell {
    Cell::sorted(
        html! { a.filter href="#handshakes" data-filter=(shown(name)) { (shown(name)) } },
        shown(name),
    )
}

fn named_causes(causes: &BTreeMap<ErrorType, u64>) -> String {
    let mut ranked: Vec<_> = causes.iter().collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named = ranked.iter().take(CAUSES);
    let mut text: Vec<_> = named
        .map(|(cause, count)| format!("{cause}\u{a0}{}", grouped(**count)))
        .collect();
    if let more @ 1.. = ranked.len().saturating_sub(CAUSES) {
        text.push(format!("{more} more"));
    }
    text.join(", ")
}

fn others_of(handshakes: u64, nouns: &str) -> Option<String> {
    (handshakes > 0).then(|| format!("and {} of other {nouns}", counted(handshakes, "handshake")))
}
