//! The page: its head, its sections in their order, and the data for the list of handshakes.
//!
//! Nothing here is run by a browser. The templates escape every text, colours and scripts are files of their own
//! (`src/assets/report`), and the page's Content-Security-Policy permits these two by their hashes and nothing else: no network, no
//! other script, no markup made by a script.

mod axis;
mod certificates;
mod cryptography;
mod failures;
mod handshakes;
mod latency;
mod outcomes;
mod plot;
mod quality;
mod table;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::tallies::Tallies;
use super::text::{counted, file_name, shown};
use crate::sink::people::summary::second;
use crate::stats::Stats;

const STYLE: &str = include_str!("../../../assets/report/report.css");
const SCRIPT: &str = include_str!("../../../assets/report/report.js");

/// What the list of handshakes has.
#[derive(Debug)]
pub(super) struct List {
    /// JSON, escaped so that it cannot end the element that holds it.
    pub(super) data: String,
    pub(super) rows: u64,
    pub(super) details: u64,
    /// Rows that could have details: all but plain successes.
    pub(super) notable: u64,
    /// Failures, a line each: what a page without JavaScript has instead of the list.
    pub(super) failures: Vec<String>,
    pub(super) failures_omitted: u64,
}

/// The whole page.
pub(super) fn page(tallies: &Tallies, stats: &Stats, list: &List) -> Markup {
    let sections = sections(tallies, stats, list);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content={ "tlscope " (env!("CARGO_PKG_VERSION")) };
                title { "TLS handshakes: " (title(tallies)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                @if list.rows > 0 {
                    a.skip href="#handshakes" { "Skip to the list of handshakes" }
                }
                (header(tallies, stats, &sections))
                main { @for (_, _, section) in &sections { (section) } }
                footer {
                    p {
                        "Made by tlscope " (env!("CARGO_PKG_VERSION")) " from packets alone. All times are packet times in UTC. "
                        "This page is complete in itself: it loads nothing from the network."
                    }
                }
                script type="application/json" id="data" { (PreEscaped(&list.data)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// What the browser may use: the style and the script of the page, by their hashes.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(STYLE),
        hash(SCRIPT),
    )
}

/// The captures, shortly.
fn title(tallies: &Tallies) -> String {
    match tallies.sources.as_slice() {
        [] => "No handshakes".to_owned(),
        [(source, _)] => file_name(source).into_owned(),
        [(source, _), others @ ..] => {
            let others = counted(others.len() as u64, "other");
            format!(
                "{} and {others}{}",
                file_name(source),
                if tallies.has_more_sources {
                    " or more"
                } else {
                    ""
                }
            )
        }
    }
}

/// A section: its identifier, its name in the navigation, and its contents.
type Section = (&'static str, &'static str, Markup);

/// The sections that have something to show.
fn sections(tallies: &Tallies, stats: &Stats, list: &List) -> Vec<Section> {
    let mut sections = vec![
        ("outcomes", "Outcomes", outcomes::section(tallies)),
        ("failures", "Failures", failures::section(tallies)),
        (
            "handshakes",
            "Handshakes",
            handshakes::section(tallies, list),
        ),
        ("latency", "Latency", latency::section(tallies)),
        (
            "certificates",
            "Certificates",
            certificates::section(tallies),
        ),
        (
            "cryptography",
            "Cryptography",
            cryptography::section(tallies),
        ),
        ("quality", "Capture", quality::section(tallies, stats)),
    ];
    sections.retain(|(_, _, section)| !section.0.is_empty());
    sections
}

fn header(tallies: &Tallies, stats: &Stats, sections: &[Section]) -> Markup {
    html! {
        header.page {
            div.line {
                p.kicker { "TLS handshake report" }
                button.theme type="button" hidden="" { "Theme: auto" }
            }
            h1 { (title(tallies)) }
            p.lead {
                @if tallies.handshakes > 0 {
                    time { (second(tallies.first)) } " to " time { (second(tallies.last)) } " UTC · "
                }
                (counted(stats.packets, "packet")) " · " (counted(stats.connections, "connection"))
            }
            @if tallies.sources.len() > 1 {
                details.sources {
                    summary { "Captures" }
                    ul {
                        @for (source, count) in &tallies.sources {
                            li { (shown(source)) " · " (counted(*count, "handshake")) }
                        }
                        @if tallies.has_more_sources {
                            li { "and others" }
                        }
                    }
                }
            }
            nav aria-label="Sections" {
                ul {
                    @for (id, name, _) in sections {
                        li { a href={ "#" (id) } { (name) } }
                    }
                }
            }
        }
    }
}

/// A section with a heading that others can link to.
fn section(id: &str, heading: &str, lead: &str, body: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-heading" } {
            h2 id={ (id) "-heading" } { (heading) }
            @if !lead.is_empty() {
                p.lead { (lead) }
            }
            (body)
        }
    }
}

/// Says that there is nothing to show.
fn nothing(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// The key to the colours of a plot.
fn legend<const N: usize>(parts: plot::Parts<N>) -> Markup {
    html! {
        ul.legend aria-hidden="true" {
            @for (class, name) in parts {
                li { svg.swatch { rect class=(class) width="100%" height="100%" {} } (name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as the Web Content Accessibility Guidelines 2.2 define it.
    fn luminance(colour: &str) -> f64 {
        let value = u32::from_str_radix(colour.trim_start_matches('#'), 16).unwrap();
        let channel = |shift: u32| {
            let share = f64::from((value >> shift) & 0xff) / 255.0;
            if share <= 0.04045 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The colour of this name, in light and in dark.
    fn colour(name: &str) -> [&'static str; 2] {
        let (_, rest) = STYLE.split_once(&format!("--{name}: light-dark(")).unwrap();
        let (pair, _) = rest.split_once(')').unwrap();
        let (light, dark) = pair.split_once(", ").unwrap();
        [light, dark]
    }

    /// Rows have buttons, too, whose marks would else stand beyond the right edge of the page.
    #[test]
    fn the_style_of_buttons_that_sort_applies_to_heads_of_tables_only() {
        let (all, heads) = (STYLE.matches("th button"), STYLE.matches("thead th button"));
        assert_eq!(all.count(), heads.count());
    }

    #[test]
    fn text_and_plots_stand_out_from_their_background_in_light_and_dark() {
        let text = ["text", "soft", "accent", "bad-text", "near-text"];
        let plots = [
            "ok",
            "bad",
            "unknown",
            "near",
            "client",
            "server",
            "neither",
            "value",
            "quantum",
            "classical",
            "rsa",
            "psk",
        ];
        let required = text.map(|name| (name, 4.5)).into_iter();
        for (name, required) in required.chain(plots.map(|name| (name, 3.0))) {
            for background in ["page", "card", "hover"] {
                let pairs = colour(name).into_iter().zip(colour(background));
                for (colour, background_colour) in pairs {
                    // Plots are drawn on cards alone.
                    let contrast = contrast(colour, background_colour);
                    let is_used = required > 4.0 || background == "card";
                    assert!(
                        !is_used || contrast >= required,
                        "{name} on {background}: {contrast:.2}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_policy_has_the_hashes_of_what_the_page_holds() {
        // Computed with `openssl dgst -sha256 -binary | base64` of nothing, as a check of the form.
        let empty = STANDARD.encode(Sha256::digest(b""));
        assert_eq!(empty, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert!(policy().contains("script-src 'sha256-"));
        assert!(
            !STYLE.contains("</") && !SCRIPT.contains("</"),
            "cannot end their elements"
        );
    }
}
