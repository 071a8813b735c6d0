//! The last failures as a page for people.
//!
//! It loads nothing and runs no script. maud escapes every value, and the values have no control characters.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, html};

use crate::telemetry::failures::{Entry, Listed, Query};

/// The browser loads nothing from elsewhere and runs nothing, whatever the page contains.
pub(super) const SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'";

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:14px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:80rem;padding:0 1rem;color:#1c2024;background:#fff}\
h1{font-size:1.3rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #d9dde1}\
th{font-weight:600}code{font:12px ui-monospace,monospace;overflow-wrap:anywhere}\
.cause{color:#b3261e;font-weight:600}.minor{color:#5c656e}a{color:#0b57d0}input{font:inherit}\
label{display:inline-block;margin:0 .4rem .3rem 0}td:first-child code{white-space:nowrap}\
td:nth-child(2),td:nth-child(3){min-width:11rem}\
@media(max-width:48rem){thead{display:none}table,tbody,tr,td{display:block}td{border:0;padding:.1rem 0}\
tr{padding:.5rem 0;border-bottom:1px solid #d9dde1}}\
@media(prefers-color-scheme:dark){tr{border-color:#343a40}body{color:#e3e6e8;background:#16191c}th,td{border-color:#343a40}\
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
                title { "tlscope: " (title(query)) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { (title(query)) }
                p {
                    (count) " listed of " (listed.seen) (kinds(query)) " since the start, the newest first. "
                    @if listed.dropped > 0 {
                        (listed.dropped) " older ones were dropped, those of the most frequent server and cause first. "
                    }
                    "For programs: " a href=(json(query)) { "JSON" } "."
                }
                (filter(query))
                @if count == 0 {
                    p { (if query.includes_completed() { "No handshake to list." } else { "No failure to list." }) }
                } @else {
                    (groups(listed))
                    (table(listed))
                }
            }
        }
    };
    page.into_string()
}

fn title(query: &Query) -> &'static str {
    match (query.is_client_certificate_absent, &query.client_finding) {
        (true, _) => "TLS handshakes without the client certificate that the server asked for",
        (false, Some(_)) => "TLS handshakes with a client certificate that has a finding",
        (false, None) => "Failed TLS handshakes",
    }
}

/// What the list is a selection of.
const fn kinds(query: &Query) -> &'static str {
    match query.includes_completed() {
        true => " handshakes that failed, or completed without a trusted client certificate,",
        false => "",
    }
}

/// The same list as JSON.
fn json(query: &Query) -> String {
    let fields = fields(query).into_iter();
    let fields = fields.filter(|(_, value)| !value.is_empty());
    let fields = fields.map(|(name, value)| format!("&{name}={}", encoded(value)));
    format!("?format=json{}", fields.collect::<String>())
}

/// A value in a query: letters and digits as they are, all else as percent signs.
fn encoded(value: &str) -> String {
    let bytes = value.bytes();
    let characters = bytes.map(|byte| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    characters.collect()
}

/// The parameters of a query and their values, empty where there is none.
fn fields(query: &Query) -> [(&'static str, &str); 5] {
    let [error, server, client, client_finding] = [
        &query.error,
        &query.server,
        &query.client,
        &query.client_finding,
    ]
    .map(|value| value.as_deref().unwrap_or_default());
    [
        ("error", error),
        ("server", server),
        ("client", client),
        (
            "client_certificate",
            match query.is_client_certificate_absent {
                true => "absent",
                false => "",
            },
        ),
        ("client_finding", client_finding),
    ]
}

fn filter(query: &Query) -> Markup {
    html! {
        form method="get" {
            input type="hidden" name="format" value="html";
            @for (name, value) in fields(query) {
                label { (name.replace('_', " ")) " " input name=(name) value=(value); } " "
            }
            button { "Filter" } " " a href="?format=html" { "all failures" }
            " " a href="?format=html&client_certificate=absent" { "clients without a certificate" }
        }
    }
}

/// How often each cause is listed for each server.
fn groups(listed: &Listed) -> Markup {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for entry in &listed.failures {
        let group = (entry.kind(), entry.server_or_address());
        *counts.entry(group).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    html! {
        p {
            @for ((kind, server), count) in counts.into_iter().take(TOP) {
                (count) " × " span.cause { (kind) } " at " (server) br;
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
            tbody { @for entry in &listed.failures { (row(entry)) } }
        }
    }
}

fn row(entry: &Entry) -> Markup {
    let time = entry.time.get(..23).unwrap_or(&entry.time); // to the millisecond
    let (date, clock) = time.split_once('T').unwrap_or((time, ""));
    html! {
        tr {
            td { code { (date) } br; code { (clock) } br; span.minor { (entry.source) } }
            td {
                @if let Some(identity) = &entry.client_identity { (identity) br; }
                code { (entry.client.address) ":" (entry.client.port) }
            }
            td {
                @if let Some(name) = &entry.server_name { (name) br; }
                code { (entry.server.address) ":" (entry.server.port) }
                @if let Some(version) = &entry.version { br; span.minor { (version) } }
            }
            td {
                span.cause { (entry.kind()) }
                @match &entry.error {
                    Some(error) => {
                        @if let Some(side) = error.side { " by the " (side) }
                        @if entry.is_completed() { " after the handshake" }
                        br;
                        (error.message)
                        @if let Some(hint) = &error.hint { br; span.minor { "Try: " (hint) } }
                    }
                    None => { br; (entry.what_completed()) }
                }
            }
            td {
                @match &entry.saved_to {
                    Some(path) => { code { "tlscope show " (path) } br; }
                    None => {}
                }
                span.minor { "community id " } code { (entry.community_id) } br;
                @if let Some(trace) = &entry.trace_id { span.minor { "trace " } code { (trace) } br; }
                span.minor { (entry.evidence) ", flow " } code { (entry.flow_id) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ClientCertificate, ErrorType, HandshakeError, Outcome, Side};
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
        assert!(page.contains("<h1>Failed TLS handshakes</h1>"), "{page}");
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

    #[test]
    fn a_handshake_that_completed_says_what_it_lacked() {
        let failures = Failures::default();
        let mut event = handshake();
        event.tls.server_name = Some("a&b.example".into());
        event.tls.client_certificate = ClientCertificate::Absent;
        failures.record(&event, None);
        let query = Query::parse("client_certificate=absent&server=a%26b.example").unwrap();
        let page = page(&failures.list(&query), &query);
        for expected in [
            "<h1>TLS handshakes without the client certificate that the server asked for</h1>",
            "1 × <span class=\"cause\">no client certificate</span> at a&amp;b.example",
            "the handshake completed: the server asked for a client certificate, and the client had none",
            "href=\"?format=json&amp;server=a%26b%2Eexample&amp;client_certificate=absent\"",
        ] {
            assert!(page.contains(expected), "no {expected} in {page}");
        }
    }
}
