//! The list of handshakes: its frame. The script fills it from the data of the page.

use maud::{Markup, html};

use super::super::tallies::Tallies;
use super::super::text::grouped;
use super::{List, nothing};

pub(super) fn section(tallies: &Tallies, list: &List) -> Markup {
    if list.rows == 0 {
        return html! {};
    }
    let body = html! {
        noscript {
            (nothing("To search and sort, and for the messages of each handshake, this list needs JavaScript. Without it, these are the failures."))
            ul.remarks {
                @for failure in &list.failures { li { (failure) } }
            }
            @if list.failures_omitted > 0 {
                p { "and " (grouped(list.failures_omitted)) " more" }
            }
        }
        form.controls role="search" hidden="" {
            label.search {
                span.label { "Search" }
                input type="search" id="search" autocomplete="off" spellcheck="false" placeholder="name, address, cause, version …";
            }
            fieldset.outcomes {
                legend { "Outcome" }
                @for (value, name) in [
                    ("", "All"), ("failure", "Failed"), ("rejected", "Rejected afterwards"), ("unknown", "Unknown"), ("success", "Succeeded"),
                ] {
                    label { input type="radio" name="outcome" value=(value); span { (name) " " span.count data-count=(value) {} } }
                }
            }
        }
        p.status id="status" role="status" {}
        div.scroll {
            table.handshakes id="list" hidden="" {
                caption { "Handshakes" }
                thead {}
                tbody {}
            }
        }
        p.more hidden="" { button type="button" id="more" { "Show more" } " " button type="button" id="open" { "Open all shown" } }
    };
    super::section("handshakes", "Handshakes", &lead(tallies, list), &body)
}

/// What the list has and what it lacks.
fn lead(tallies: &Tallies, list: &List) -> String {
    let mut lead = "Select a row for its messages, certificates and evidence.".to_owned();
    if list.rows < tallies.handshakes {
        lead += &format!(
            " The list has {} of {} handshakes: failures first, and some for every cause and server. The figures on this page count all.",
            grouped(list.rows),
            grouped(tallies.handshakes),
        );
    }
    if list.details < list.notable {
        lead += &format!(
            " {} of {} handshakes that did not plainly succeed have details.",
            grouped(list.details),
            grouped(list.notable),
        );
    }
    lead
}
