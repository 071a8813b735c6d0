//! The last failures as a page for people.
//!
//! It loads nothing and runs no script. maud escapes every value, and the values have no control characters.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, html};

use crate::telemetry::failures::{Failure, Listed, Query};

/// The browser loads nothing from elsewhere and runs nothing, whatever the page contains.
pub(super) const SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'";

const STYLE: &str = "\
body{font:14px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:80rem;padding:0 1rem;color:#1c2024;background:#fff}\
h1{font-size:1.3rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #d9dde1}\
th{font-weight:600}code{font:12px ui-monospace,monospace;overflow-wrap:anywhere}\
.cause{color:#b3261e;font-weight:600}.minor{color:#5c656e}a{color:#0b57d0}input{font:inherit}\
@media(prefers-color-scheme:dark){body{color:#e3e6e8;background:#16191c}th,td{border-color:#343a40}\
.cause{color:#ff8a80}.minor{color:#9aa4ad}a{color:#8ab4f8}}";

/// The page.
pub(super) fn page(listed: &Listed, query: &Query) -> String {
    let count = listed.failures.len();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "tlscope: failures" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "Failed TLS handshakes" }
                p {
                    (count) " listed of " (listed.seen) " since the start, the newest first. "
                    @if listed.dropped > 0 {
                        (listed.dropped) " older ones were dropped, those of the most frequent server and cause first. "
                    }
                    "For programs: " a href="?format=json" { "JSON" } "."
                }
                (filter(query))
                @if count == 0 {
                    p { "No failure to list." }
                } @else {
                    (groups(listed))
                    (table(listed))
                }
            }
        }
    };
    page.into_string()
}

fn filter(query: &Query) -> Markup {
    let fields = [
        ("error", &query.error),
        ("server", &query.server),
        ("client", &query.client),
    ];
    html! {
        form method="get" {
            input type="hidden" name="format" value="html";
            @for (name, value) in fields {
                label { (name) " " input name=(name) value=(value.as_deref().unwrap_or_default()); } " "
            }
            button { "Filter" } " " a href="?format=html" { "all" }
        }
    }
}

/// How often each cause is listed for each server.
fn groups(listed: &Listed) -> Markup {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for failure in &listed.failures {
        let group = (failure.error.error_type, failure.server_or_address());
        *counts.entry(group).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    html! {
        p {
            @for ((error_type, server), count) in counts.into_iter().take(TOP) {
                (count) " × " span.cause { (error_type) } " at " (server) br;
            }
        }
    }
}

/// Most servers and causes above the table.
const TOP: usize = 8;

fn table(listed: &Listed) -> Markup {
    html! {
        table {
            thead { tr { th { "Time (UTC)" } th { "Client" } th { "Server" } th { "What happened" } th { "Evidence" } } }
            tbody { @for failure in &listed.failures { (row(failure)) } }
        }
    }
}

fn row(failure: &Failure) -> Markup {
    let time = failure.time.get(..23).unwrap_or(&failure.time); // to the millisecond
    let (date, clock) = time.split_once('T').unwrap_or((time, ""));
    html! {
        tr {
            td { code { (date) } br; code { (clock) } br; span.minor { (failure.source) } }
            td {
                @if let Some(identity) = &failure.client_identity { (identity) br; }
                code { (failure.client.address) ":" (failure.client.port) }
            }
            td {
                @if let Some(name) = &failure.server_name { (name) br; }
                code { (failure.server.address) ":" (failure.server.port) }
                @if let Some(version) = &failure.version { br; span.minor { (version) } }
            }
            td {
                span.cause { (failure.error.error_type) }
                @if let Some(side) = failure.error.side { " by the " (side) }
                @if failure.is_completed() { " after the handshake" }
                br;
                (failure.error.message)
                @if let Some(hint) = &failure.error.hint { br; span.minor { "Try: " (hint) } }
            }
            td {
                @match &failure.saved_to {
                    Some(path) => { code { "tlscope show " (path) } br; }
                    None => {}
                }
                span.minor { "community id " } code { (failure.community_id) } br;
                @if let Some(trace) = &failure.trace_id { span.minor { "trace " } code { (trace) } br; }
                span.minor { (failure.evidence) ", flow " } code { (failure.flow_id) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ErrorType, HandshakeError, Outcome, Side};
    use crate::telemetry::failures::Failures;
    use crate::telemetry::testing::handshake;

    #[test]
    fn text_from_the_traffic_is_escaped() {
        let failures = Failures::default();
        let mut event = handshake();
        event.outcome = Outcome::Failure;
        event.tls.server_name = Some("<script>alert(1)</script>".into());
        event.error = Some(HandshakeError {
            error_type: ErrorType::UnknownCa,
            side: Some(Side::Client),
            message: "refused \"<b>\"".to_owned(),
            hint: Some("a & b".to_owned()),
        });
        failures.record(&event, None);
        let query = Query::parse("error=unknown_ca").unwrap();
        let page = page(&failures.list(&query), &query);
        assert!(!page.contains("<script>"), "{page}");
        for expected in [
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "refused &quot;&lt;b&gt;&quot;",
            "Try: a &amp; b",
            "1 listed of 1 since the start",
            "name=\"error\" value=\"unknown_ca\"",
        ] {
            assert!(page.contains(expected), "no {expected} in {page}");
        }
    }
}
