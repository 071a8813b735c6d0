//! What was negotiated.

use std::fmt::Display;

use maud::{Markup, html};

use super::super::tallies::Tallies;
use super::super::text::{counted, grouped, percent};
use super::plot;
use super::table::{Cell, Column, table};
use crate::event::KeyExchangeClass;

pub(super) fn section(tallies: &Tallies) -> Markup {
    let answered: u64 = tallies.exchanges.iter().sum();
    if answered == 0 {
        return html! {};
    }
    let body = html! {
        (key_exchange(tallies, answered))
        div.columns {
            (selected("Version", "Versions", &tallies.versions, answered))
            (selected("Group", "Groups", &tallies.groups, answered))
        }
        (selected("Cipher suite", "Cipher suites", &tallies.cipher_suites, answered))
    };
    let lead = format!(
        "Of {} handshakes that a server answered.",
        grouped(answered)
    );
    super::section("cryptography", "Cryptography", &lead, &body)
}

/// The share of post-quantum key exchanges, and how many clients could.
fn key_exchange(tallies: &Tallies, answered: u64) -> Markup {
    let parts: plot::Parts<{ KeyExchangeClass::ALL.len() }> =
        std::array::from_fn(|index| described(KeyExchangeClass::ALL[index]));
    let shown = parts
        .iter()
        .zip(tallies.exchanges)
        .filter(|(_, count)| *count > 0);
    html! {
        figure {
            figcaption { "Key exchange" }
            div.share {
                (plot::bar(parts, tallies.exchanges, answered))
                dl.parts {
                    @for ((class, name), count) in shown {
                        div class=(class) {
                            dt { svg.swatch aria-hidden="true" { rect class=(class) width="100%" height="100%" {} } (name) }
                            dd { span.figure { (percent(count, answered)) } span.share { (grouped(count)) } }
                        }
                    }
                }
            }
            p.note {
                "Clients offered a post-quantum group in " (grouped(tallies.post_quantum_offers)) " of " (grouped(tallies.offers))
                " ClientHellos (" (percent(tallies.post_quantum_offers, tallies.offers)) "). "
                (counted(tallies.resumed, "handshake")) " resumed a session."
            }
        }
    }
}

/// The colour and the name of a class.
const fn described(class: KeyExchangeClass) -> (&'static str, &'static str) {
    match class {
        KeyExchangeClass::PqHybrid => ("quantum", "Post-quantum hybrid"),
        KeyExchangeClass::Pq => ("quantum", "Post-quantum"),
        KeyExchangeClass::Classical => ("classical", "Classical Diffie-Hellman"),
        KeyExchangeClass::Rsa => ("rsa", "RSA key transport"),
        KeyExchangeClass::Psk => ("psk", "Pre-shared key only"),
        KeyExchangeClass::Unknown => ("neither", "Resumed, or not visible"),
    }
}

fn selected<'a, T: Display + 'a>(
    what: &'static str,
    caption: &str,
    counts: impl IntoIterator<Item = (&'a Option<T>, &'a u64)>,
    total: u64,
) -> Markup {
    let mut counts: Vec<_> = counts
        .into_iter()
        .map(|(value, count)| {
            let name = value
                .as_ref()
                .map_or_else(|| "unregistered".to_owned(), ToString::to_string);
            (name, *count)
        })
        .collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count)); // stable: ties in order of the numbers
    if counts.is_empty() {
        return html! {};
    }
    let most = counts.first().map_or(0, |(_, count)| *count);
    let rows = counts.iter().map(|(name, count)| {
        let share = *count as f64 / total.max(1) as f64;
        vec![
            Cell::text(name),
            Cell::markup(plot::bar([("value", "")], [*count], most)),
            Cell::count(*count),
            Cell::sorted(html! { (percent(*count, total)) }, share),
        ]
    });
    let columns = [
        Column::Text(what),
        Column::Bar,
        Column::Number("Handshakes"),
        Column::Number("Share"),
    ];
    html! {
        figure {
            figcaption { (caption) }
            (table(caption, &columns, rows.collect(), None))
        }
    }
}
