//! How the handshakes ended, in all and over time.

use std::time::Duration;

use maud::{Markup, html};

use super::super::tallies::Tallies;
use super::super::text::{counted, grouped, percent};
use super::{legend, nothing, plot};
use crate::certificate::Expiry;
use crate::event::{KeyExchangeClass, Outcome, UnknownBecause};
use crate::sink::milliseconds;
use crate::sink::people::summary::second;

/// From the foot of a column.
const PARTS: plot::Parts<3> = [
    ("bad", "failed"),
    ("unknown", "unknown"),
    ("ok", "succeeded"),
];

pub(super) fn section(tallies: &Tallies) -> Markup {
    let total = tallies.handshakes;
    if total == 0 {
        let text = "No TLS handshake was seen in this capture. If you expected some, compare the packet counts above with the part about the \
                    capture below: it says what was not understood.";
        return super::section("outcomes", "Outcomes", "", &nothing(text));
    }
    let (over_time, outliers) = tallies.over_time.chart();
    let body = html! {
        (headline(tallies))
        (tiles(tallies))
        figure {
            figcaption { "Outcomes over time" span.note { " per " (text_of(over_time.width())) } }
            (legend(PARTS))
            (plot::columns(&over_time, PARTS, "Handshakes over time, by outcome"))
            @if let [(time, _), ..] = outliers.as_slice() {
                @let count = outliers.iter().map(|(_, count)| count).sum();
                p.note {
                    "Not in this plot: " (counted(count, "handshake")) " far from all others in time, the first at " (second(*time))
                    " UTC. The clock of the capture may have been wrong."
                }
            }
        }
    };
    super::section("outcomes", "Outcomes", "", &body)
}

/// All handshakes as one bar, and its parts in figures.
fn headline(tallies: &Tallies) -> Markup {
    let total = tallies.handshakes;
    let [success, failure, unknown] = [Outcome::Success, Outcome::Failure, Outcome::Unknown]
        .map(|outcome| tallies.outcomes[outcome as usize]);
    html! {
        div.headline {
            p.total { strong { (grouped(total)) } (if total == 1 { " handshake" } else { " handshakes" }) }
            (plot::bar(
                [("ok", ""), ("unknown", ""), ("bad", "")], [success, unknown, failure], total,
            ))
            dl.parts {
                (part("ok", "Succeeded", success, total, &rejected(tallies)))
                (part("bad", "Failed", failure, total, &leading_cause(tallies)))
                (part("unknown", "Unknown", unknown, total, &leading_doubt(tallies)))
            }
        }
    }
}

fn part(class: &str, name: &str, count: u64, total: u64, note: &str) -> Markup {
    html! {
        div class=(class) {
            dt { svg.swatch aria-hidden="true" { rect class=(class) width="100%" height="100%" {} } (name) }
            dd {
                span.figure { (grouped(count)) }
                span.share { (percent(count, total)) }
                @if !note.is_empty() { span.note { (note) } }
            }
        }
    }
}

fn rejected(tallies: &Tallies) -> String {
    match tallies.rejected_after {
        0 => String::new(),
        count => format!("{} of them refused afterwards", grouped(count)),
    }
}

fn leading_cause(tallies: &Tallies) -> String {
    let causes = super::failures::causes(tallies);
    let sum = |counts: &[u64; 3]| counts.iter().sum::<u64>();
    let Some((cause, counts)) = causes.first() else {
        return String::new();
    };
    let most = sum(counts);
    let tied = causes
        .iter()
        .skip(1)
        .take_while(|(_, counts)| sum(counts) == most);
    let tied: Vec<_> = tied.collect();
    let times = times(most);
    match tied.as_slice() {
        [] => format!("most often {cause}, {times}"),
        [(other, _)] => format!("most often {cause} and {other}, {times} each"),
        others => format!(
            "most often {cause} and {} others, {times} each",
            others.len()
        ),
    }
}

fn leading_doubt(tallies: &Tallies) -> String {
    let counts = UnknownBecause::ALL.iter().zip(tallies.unknown_because);
    let most = counts
        .filter(|(_, count)| *count > 0)
        .min_by_key(|(_, count)| std::cmp::Reverse(*count));
    most.map_or_else(String::new, |(because, count)| {
        format!("{}: {}", because.explanation(), grouped(count))
    })
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{} times", grouped(count)),
    }
}

/// The figures that people ask for first.
fn tiles(tallies: &Tallies) -> Markup {
    let handshake = &tallies.phases[2];
    let post_quantum = tallies.exchanges[KeyExchangeClass::PqHybrid as usize]
        + tallies.exchanges[KeyExchangeClass::Pq as usize];
    let exchanges: u64 = tallies.exchanges.iter().sum();
    html! {
        dl.tiles {
            @if handshake.count() > 0 {
                (tile(
                    "Median time",
                    &format!("{:.1} ms", milliseconds(handshake.percentile(50))),
                    &format!("99 % within {:.1} ms", milliseconds(handshake.percentile(99))),
                ))
            }
            @if exchanges > 0 {
                (tile("Post-quantum", &percent(post_quantum, exchanges), "of key exchanges"))
            }
            @if let Some((figure, note)) = next_expiry(tallies) {
                (tile("Next certificate to expire", &figure, &note))
            }
            @if tallies.inferred > 0 {
                (tile("Inferred", &percent(tallies.inferred, tallies.handshakes), "of outcomes: TLS 1.3 without keys"))
            }
            @if tallies.not_tls > 0 {
                (tile("Not TLS", &grouped(tallies.not_tls), "connections to TLS ports"))
            }
        }
    }
}

fn tile(name: &str, figure: &str, note: &str) -> Markup {
    html! {
        div.tile { dt { (name) } dd { span.figure { (figure) } span.note { (note) } } }
    }
}

/// When the next certificate expires, and how many have.
fn next_expiry(tallies: &Tallies) -> Option<(String, String)> {
    let at = tallies.judged_at;
    let expiries = tallies.certificates.iter().filter_map(|shown| {
        let facts = shown.facts.as_ref().ok()?;
        Some(Expiry::new(facts.not_after, at))
    });
    let (expired, valid): (Vec<_>, Vec<_>) = expiries.partition(|expiry| expiry.is_past());
    let next = valid.iter().min_by(|a, b| a.days().total_cmp(&b.days()));
    let figure = match next {
        Some(expiry) => format!("{:.1} days", expiry.days()),
        None if expired.is_empty() => return None,
        None => "–".to_owned(),
    };
    let note = match expired.len() as u64 {
        0 => format!("of {}", counted(valid.len() as u64, "certificate")),
        count => format!("{} expired", grouped(count)),
    };
    Some((figure, note))
}

fn text_of(width: Duration) -> String {
    match width.as_secs() {
        0 => format!("{} ms", width.as_millis()),
        seconds @ 1..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => counted(seconds / 86_400, "day"),
    }
}
