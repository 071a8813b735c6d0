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
                    (count) " listed, the newest first" (parts(&listed.failures)) ". They are what this selection leaves of "
                    (listed.kept()) " that tlscope keeps; since the start, it saw " (listed.seen) (kinds(query)) ". "
                    @if listed.dropped > 0 {
                        "The other " (listed.dropped) " made room for newer ones, those of the most frequent server and cause first. "
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
    match (
        query.is_rejected_after,
        query.is_client_certificate_absent,
        &query.client_finding,
    ) {
        (true, _, _) => "TLS handshakes that completed and were refused afterwards",
        (_, true, _) => "TLS handshakes without the client certificate that the server asked for",
        (_, false, Some(_)) => "TLS handshakes with a client certificate that has a finding",
        (_, false, None) => "TLS handshakes that failed, or were refused afterwards",
    }
}

/// How many of the handshakes listed ended how, as in `: 18 failed, 204 completed and were refused afterwards`.
fn parts(listed: &[Entry]) -> String {
    let count = |is: fn(&Entry) -> bool| listed.iter().filter(|entry| is(entry)).count();
    let parts = [
        (count(|entry| !entry.is_completed()), "failed"),
        (
            count(Entry::is_rejected_after),
            "completed and were refused afterwards",
        ),
        (
            count(|entry| entry.is_completed() && entry.error.is_none()),
            "completed, and no refusal was seen",
        ),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, how)| format!("{count} {how}")).collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(": {}", parts.join("; ")),
    }
}

/// What the list is a selection of.
const fn kinds(query: &Query) -> &'static str {
    match query.includes_completed() {
        true => {
            " that failed, were refused afterwards, or completed without a trusted client certificate"
        }
        false => " that failed or were refused afterwards",
    }
}

/// The same list as JSON.
fn json(query: &Query) -> String {
    let fields = fields(query).into_iter();
    let fields = fields.filter(|(_, value)| !value.is_empty());
    let fields = fields.map(|(name, value)| format!("&{name}={}", encoded(&value)));
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
fn fields(query: &Query) -> [(&'static str, String); 7] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let flag = |is_set: bool, value: &str| match is_set {
        true => value.to_owned(),
        false => String::new(),
    };
    let port = query.port.map(|port| port.to_string());
    let is_absent = query.is_client_certificate_absent;
    [
        ("error", text(&query.error)),
        ("server", text(&query.server)),
        ("port", text(&port)),
        ("client", text(&query.client)),
        ("client_certificate", flag(is_absent, "absent")),
        ("client_finding", text(&query.client_finding)),
        ("rejected_after", flag(query.is_rejected_after, "true")),
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
            " " a href="?format=html&rejected_after=true" { "refused after the handshake" }
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
            tbody { @for entry in &listed.failures { (row(entry, listed)) } }
        }
    }
}

fn row(entry: &Entry, listed: &Listed) -> Markup {
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
                    Some(path) => { code { (listed.show_command(path)) } br; }
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
    use crate::telemetry::testing::{handshake, rejected_after};

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
        assert!(
            page.contains("<h1>TLS handshakes that failed, or were refused afterwards</h1>"),
            "{page}"
        );
        for expected in [
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "refused &quot;&lt;b&gt;&quot;",
            "Try: a &amp; b",
            "1 listed, the newest first: 1 failed. They are what this selection leaves of 1 that tlscope keeps; \
             since the start, it saw 1 that failed or were refused afterwards.",
            "name=\"port\" value=\"\"",
            "name=\"error\" value=\"unknown_ca\"",
        ] {
            assert!(page.contains(expected), "no {expected} in {page}");
        }
    }

    #[test]
    fn the_page_says_how_many_failed_how_many_were_refused_and_what_it_does_not_list() {
        let failures = Failures::default();
        let mut failed = handshake();
        failed.outcome = Outcome::Failure;
        failed.error = Some(HandshakeError::new(
            ErrorType::UnknownCa,
            Some(Side::Client),
            String::new(),
        ));
        failures.record(&failed, None);
        let mut refused = handshake();
        refused.tls.client_certificate = ClientCertificate::Absent;
        refused.rejected_after = Some(Box::new(rejected_after()));
        for _ in 0..300 {
            failures.record(&refused, None);
        }
        let page = |text: &str| {
            let query = Query::parse(text).unwrap();
            page(&failures.list(&query), &query)
        };
        let all = page("");
        assert!(
            all.contains(": 1 failed; 255 completed and were refused afterwards."),
            "{all}"
        );
        assert!(all.contains("The other 45 made room"), "{all}");
        let absent = page("client_certificate=absent");
        assert!(
            absent.contains(
                "255 listed, the newest first: 255 completed and were refused afterwards. They are what this selection \
                 leaves of 256 that tlscope keeps; since the start, it saw 301 that"
            ),
            "{absent}"
        );
        let refused = page("rejected_after=true&port=443");
        assert!(
            refused.contains("<h1>TLS handshakes that completed and were refused afterwards</h1>"),
            "{refused}"
        );
        assert!(
            refused.contains("?format=json&amp;port=443&amp;rejected_after=true"),
            "{refused}"
        );
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
