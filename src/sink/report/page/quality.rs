//! What the capture lacks, what tlscope discarded, and connections without TLS.

use maud::{Markup, html};

use super::super::tallies::Tallies;
use super::super::text::{counted, grouped, shown};
use super::nothing;
use super::table::{Cell, Column, table};
use crate::sink::people::summary::{quality, second};
use crate::stats::Stats;

/// Most servers listed.
const TOP: usize = 60;

pub(super) fn section(tallies: &Tallies, stats: &Stats) -> Markup {
    let own = [
        (
            "handshakes with only one direction captured",
            tallies.one_way,
        ),
        ("handshakes with packets cut short", tallies.truncated),
    ];
    let found: Vec<_> = own
        .into_iter()
        .chain(quality(stats))
        .filter(|(_, count)| *count > 0)
        .collect();
    let body = html! {
        @if found.is_empty() {
            (nothing("Nothing is missing: no gap, no packet cut short, and no limit was reached."))
        } @else {
            dl.quality {
                @for (what, count) in found {
                    div { dt { (what) } dd { (grouped(count)) } }
                }
            }
        }
        (plain_servers(tallies))
        (plain_connections(tallies))
    };
    super::section("quality", "Quality of the capture", "", &body)
}

fn plain_connections(tallies: &Tallies) -> Markup {
    if tallies.plain_connections.is_empty() {
        return html! {};
    }
    let rows = tallies.plain_connections.iter().map(|event| {
        vec![
            Cell::text(second(event.time)),
            Cell::text(event.client.to_string()),
            Cell::text(event.server.to_string()),
            Cell::text(event.kind.as_str()),
            Cell::text(shown(&event.message)),
        ]
    });
    let columns = ["Time (UTC)", "Client", "Server", "Kind", "What was said"].map(Column::Text);
    html! {
        figure {
            figcaption { "Plain connections, one by one" }
            (table("Plain connections", &columns, rows.collect(), None))
        }
    }
}

fn plain_servers(tallies: &Tallies) -> Markup {
    let (servers, others) = tallies.plain.top(TOP);
    if servers.is_empty() {
        return html! {};
    }
    let rows = servers.iter().map(|[server, count, kinds]| {
        vec![
            Cell::text(shown(server)),
            Cell::sorted(html! { (count) }, count),
            Cell::text(kinds),
        ]
    });
    let columns = [
        Column::Text("Server"),
        Column::Number("Connections"),
        Column::Text("What came instead"),
    ];
    let others =
        (others > 0).then(|| format!("and {} to other servers", counted(others, "connection")));
    html! {
        figure {
            figcaption { "Connections that did not become TLS" }
            (table("Connections without TLS, by server", &columns, rows.collect(), others.as_deref()))
        }
    }
}
